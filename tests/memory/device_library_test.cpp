/// \file
/// What is a plugin is opened, once; what is not is refused with words that name the file.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "memory/device_library.hpp"

namespace sheaf {
namespace {

const std::string folder = SHEAF_FAKE_PLUGINS;

result<device_library> open_one(const std::string& path) {
  const std::vector<std::string> places{path};
  return open_plugin(places);
}

bool names(const status& found, const std::string& word) {
  return found.message().find(word) != std::string::npos;
}

TEST(DeviceLibrary, AMissingPluginIsUnsupportedAndEveryPlaceIsNamed) {
  const std::vector<std::string> places{"/nowhere/a/libsheaf_cuda.so",
                                        "/nowhere/b/libsheaf_cuda.so"};
  const result<device_library> opened = open_plugin(places);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), status_code::unsupported);
  for (const std::string& place : places) EXPECT_TRUE(names(opened.error(), place));
}

TEST(DeviceLibrary, AnotherSharedLibraryIsNoPlugin) {
  const result<device_library> opened = open_one(folder + "/libsheaf_fake_not_a_plugin.so");
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), status_code::bad_format);
  EXPECT_TRUE(names(opened.error(), "libsheaf_fake_not_a_plugin.so"));
}

TEST(DeviceLibrary, AFileThatDoesNotLoadIsRefusedInTheWordsOfTheLoader) {
  const std::string path = ::testing::TempDir() + "sheaf_no_library.so";
  std::ofstream(path) << "no library at all";
  const result<device_library> opened = open_one(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), status_code::unsupported);
  EXPECT_TRUE(names(opened.error(), "sheaf_no_library.so"));
}

TEST(DeviceLibrary, ATableOfAnotherVersionOrSizeIsRefused) {
  for (const char* kind : {"no_table", "short_table", "later_version"}) {
    const std::string file = std::string("libsheaf_fake_") + kind + ".so";
    const result<device_library> opened = open_one(folder + "/" + file);
    ASSERT_FALSE(opened.has_value()) << kind;
    EXPECT_EQ(opened.error().code(), status_code::unsupported) << kind;
    EXPECT_TRUE(names(opened.error(), file)) << kind;
    EXPECT_TRUE(names(opened.error(), "version")) << kind;
  }
}

TEST(DeviceLibrary, ThePlacesAreTriedInOrderAndTheFirstThatExistsDecides) {
  const std::string good = folder + "/libsheaf_fake_two_devices.so";
  const std::string bad = folder + "/libsheaf_fake_not_a_plugin.so";
  const std::vector<std::string> later{"/nowhere/libsheaf_cuda.so", good, bad};
  const result<device_library> opened = open_plugin(later);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->path(), good);
  const std::vector<std::string> first{bad, good};
  EXPECT_FALSE(open_plugin(first).has_value());
}

TEST(DeviceLibrary, AForcedFileIsTheOnlyPlaceAndElseTheProgramsOwnFolderIsOne) {
  EXPECT_EQ(plugin_places("/a/b.so"), std::vector<std::string>{"/a/b.so"});
  const std::string own =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libsheaf_cuda.so").string();
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const std::vector<std::string> places = plugin_places(unset);
    EXPECT_GE(places.size(), 3U);
    EXPECT_NE(std::find(places.begin(), places.end(), own), places.end());
    EXPECT_EQ(std::filesystem::path(places.back()).filename(), "libsheaf_cuda.so");
  }
}

TEST(DeviceLibrary, DevicesAreCountedAndDescribedByThePlugin) {
  const result<device_library> opened = open_one(folder + "/libsheaf_fake_two_devices.so");
  ASSERT_TRUE(opened.has_value());
  const result<std::uint32_t> count = opened->count();
  ASSERT_TRUE(count.has_value());
  EXPECT_EQ(*count, 2U);
  const result<device_info> second = opened->describe(1);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(std::string(second->name), "fake 1");
  EXPECT_EQ(second->multiprocessors, 11U);
  const result<device_info> third = opened->describe(2);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code(), status_code::unsupported);
  EXPECT_EQ(third.error().detail(), "device 2 of 2");
}

TEST(DeviceLibrary, NoDeviceIsUnsupportedInTheWordsOfThePlugin) {
  const result<device_library> opened = open_one(folder + "/libsheaf_fake_no_devices.so");
  ASSERT_TRUE(opened.has_value());
  const result<std::uint32_t> count = opened->count();
  ASSERT_FALSE(count.has_value());
  EXPECT_EQ(count.error().code(), status_code::unsupported);
  EXPECT_EQ(count.error().detail(), "the bus is empty");
}

TEST(DeviceLibrary, EachCodeOfADeviceIsAStatusOfItsOwnMeaning) {
  const auto code_of = [](device_code code) { return status_of({code, "words"}, "text").code(); };
  EXPECT_EQ(code_of(device_code::ok), status_code::ok);
  EXPECT_EQ(code_of(device_code::unsupported), status_code::unsupported);
  EXPECT_EQ(code_of(device_code::out_of_memory), status_code::out_of_memory);
  EXPECT_EQ(code_of(device_code::absent), status_code::unsupported);
  EXPECT_EQ(code_of(device_code::lost), status_code::failed);
  EXPECT_EQ(code_of(device_code::invalid), status_code::invalid_argument);
  EXPECT_EQ(status_of({device_code::lost, "words"}, "text").detail(), "words");
}

// The only test that opens the plugin of the process: what the first call finds stays.
TEST(DeviceLibrary, ItIsOpenedOnceAProcessWhateverTheNumberOfThreadsAndTheEnvironmentLater) {
  const std::string path = folder + "/libsheaf_fake_two_devices.so";
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(handle, nullptr);
  const int& asked = *static_cast<int*>(::dlsym(handle, "sheaf_fake_asked"));
  const int before = asked;
  ::setenv("SHEAF_CUDA_PLUGIN", path.c_str(), 1);
  std::vector<const device_ops*> found(8);
  {
    std::vector<std::jthread> threads;
    for (const device_ops*& mine : found) {
      threads.emplace_back([&mine] {
        const result<device_library> opened = device_library::open();
        mine = opened ? &opened->ops() : nullptr;
      });
    }
  }
  ::setenv("SHEAF_CUDA_PLUGIN", "/nowhere/libsheaf_cuda.so", 1);
  const result<device_library> again = device_library::open();
  ::unsetenv("SHEAF_CUDA_PLUGIN");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->path(), path);
  for (const device_ops* const mine : found) EXPECT_EQ(mine, &again->ops());
  EXPECT_EQ(asked - before, 1);
}

#ifdef SHEAF_BUILT_PLUGIN
TEST(DeviceLibrary, ThePluginOfThisBuildCountsDevicesOrSaysWhyThereIsNone) {
  const result<device_library> opened = open_one(SHEAF_BUILT_PLUGIN);
  ASSERT_TRUE(opened.has_value()) << opened.error().message();
  const result<std::uint32_t> count = opened->count();
  if (count.has_value()) {
    EXPECT_TRUE(opened->describe(*count - 1).has_value());
    EXPECT_FALSE(opened->describe(*count).has_value());
    GTEST_SKIP() << "this machine has a device: that none is told is not tested here";
  }
  EXPECT_EQ(count.error().code(), status_code::unsupported);
  EXPECT_TRUE(names(count.error(), "driver")) << count.error().message();
  const device_settings settings;
  device_context* made = nullptr;
  device_error why;
  EXPECT_EQ(opened->ops().open(&settings, &made, &why), device_code::absent);
  EXPECT_EQ(made, nullptr);
  EXPECT_NE(why.text[0], '\0');
  opened->ops().close(nullptr);
}
#endif

}  // namespace
}  // namespace sheaf
