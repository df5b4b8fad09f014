#include "memory/device_library.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <forward_list>
#include <new>
#include <system_error>
#include <utility>

#include <sheaf/base/mutex.hpp>

namespace sheaf::inline v0 {

namespace {

constexpr const char* plugin_file = "libsheaf_cuda.so";

status_code code_of(device_code code) noexcept {
  switch (code) {
    case device_code::ok: return status_code::ok;
    case device_code::out_of_memory: return status_code::out_of_memory;
    case device_code::lost: return status_code::failed;
    case device_code::invalid: return status_code::invalid_argument;
    case device_code::unsupported:
    case device_code::absent: break;
  }
  return status_code::unsupported;
}

/// Asks the file at `handle` for its table.
result<const device_ops*> table_of(void* handle, const std::string& path) noexcept {
  const auto entry = reinterpret_cast<device_ops_entry>(::dlsym(handle, device_ops_symbol));
  if (entry == nullptr) {
    return status(status_code::bad_format, subsystem::memory,
                  "the file is no plugin: it has no sheaf_device_ops", path);
  }
  const device_ops* const table = entry(device_ops_version);
  if (table == nullptr || table->version != device_ops_version ||
      table->size != sizeof(device_ops)) {
    return make_status(status_code::unsupported, subsystem::memory,
                       "the plugin was made for another version of sheaf",
                       "table version %u is wanted: %s", device_ops_version, path.c_str());
  }
  return table;
}

/// A place for `plugin` that nothing destroys: see the rules in the public header. The places stay
/// reachable, so that a leak checker has nothing to say of them.
const opened_plugin& keep(opened_plugin plugin) {
  static mutex guard;
  static auto& kept = *new std::forward_list<opened_plugin>;
  const mutex_lock lock(guard);
  return kept.emplace_front(std::move(plugin));
}

result<device_library> open_file(const std::string& path) {
  // Local: the runtime inside the plugin must not answer for a host's own.
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const words = ::dlerror();
    return status(status_code::unsupported, subsystem::memory, "the plugin does not load",
                  words != nullptr ? words : path.c_str());
  }
  const result<const device_ops*> table = table_of(handle, path);
  if (!table) {
    ::dlclose(handle);
    return table.error();
  }
  return opened_plugin::library_of(keep({*table, path}));
}

bool has_folder(const std::string& path) noexcept { return path.find('/') != std::string::npos; }

bool exists(const std::string& path) noexcept {
  std::error_code failed;
  return std::filesystem::exists(path, failed);
}

result<device_library> open_once() noexcept {
  try {
    return open_plugin(plugin_places(::secure_getenv("SHEAF_CUDA_PLUGIN")));
  } catch (const std::exception&) {
    return status(status_code::out_of_memory, subsystem::memory, "no memory to open the plugin");
  }
}

}  // namespace

std::vector<std::string> plugin_places(const char* forced) {
  if (forced != nullptr && *forced != '\0') return {forced};
  namespace fs = std::filesystem;
  std::vector<fs::path> folders;
  std::error_code failed;
  Dl_info here{};
  if (::dladdr(reinterpret_cast<const void*>(&plugin_places), &here) != 0 &&
      here.dli_fname != nullptr) {
    const fs::path holder = fs::canonical(here.dli_fname, failed);
    if (!failed) folders.push_back(holder.parent_path());
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    folders.push_back(program.parent_path());
    folders.push_back(program.parent_path().parent_path() / SHEAF_LIBDIR_NAME);
  }
  folders.emplace_back(SHEAF_INSTALL_LIBDIR);
  std::vector<std::string> places;
  for (const fs::path& folder : folders) {
    std::string place = (folder / plugin_file).string();
    if (std::find(places.begin(), places.end(), place) == places.end()) {
      places.push_back(std::move(place));
    }
  }
  return places;
}

result<device_library> open_plugin(std::span<const std::string> places) {
  std::string tried;
  for (const std::string& place : places) {
    if (!has_folder(place) || exists(place)) return open_file(place);
    if (!tried.empty()) tried += ", ";
    tried += place;
  }
  return status(status_code::unsupported, subsystem::memory, "no CUDA plugin was found", tried);
}

result<device_library> device_library::open() noexcept {
  static const result<device_library> kept = open_once();
  return kept;
}

const device_ops& device_library::ops() const noexcept { return *plugin_->ops; }

std::string_view device_library::path() const noexcept { return plugin_->path; }

result<std::uint32_t> device_library::count() const noexcept {
  device_error why;
  const std::uint32_t found = plugin_->ops->count(&why);
  if (found != 0) return found;
  if (why.code == device_code::ok) why.code = device_code::absent;
  return status_of(why, "no device");
}

result<device_info> device_library::describe(std::uint32_t index) const noexcept {
  device_error why;
  device_info about{};
  why.code = plugin_->ops->describe(index, &about, &why);
  if (why.code != device_code::ok) return status_of(why, "the device is not there");
  return about;
}

status status_of(const device_error& error, const char* text) noexcept {
  if (error.code == device_code::ok) return {};
  return status(code_of(error.code), subsystem::memory, text, error.text);
}

}  // namespace sheaf::inline v0
