/// \file
/// SHEAF_FORCE_BACKEND is obeyed, and a word it cannot obey is refused by name.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <sheaf/base/backend.hpp>
#include <sheaf/base/isa.hpp>
#include <string>

namespace sheaf {
namespace {

/// Sets the variable for one scope and puts back what was there.
class forced_backend {
 public:
  explicit forced_backend(const char* word) {
    if (const char* before = std::getenv(name)) before_ = before;
    if (word != nullptr) setenv(name, word, 1);
    else unsetenv(name);
  }
  ~forced_backend() {
    if (before_) setenv(name, before_->c_str(), 1);
    else unsetenv(name);
  }
  forced_backend(const forced_backend&) = delete;
  forced_backend& operator=(const forced_backend&) = delete;

 private:
  static constexpr const char* name = "SHEAF_FORCE_BACKEND";
  std::optional<std::string> before_;
};

constexpr isa all[isa_count] = {isa::scalar, isa::avx2, isa::avx512};

TEST(Isa, WithoutTheVariableTheWidestAvailableSetIsSelected) {
  for (const char* word : {static_cast<const char*>(nullptr), ""}) {
    const forced_backend forced(word);
    const result<isa> selected = selected_isa();
    ASSERT_TRUE(selected.has_value());
    EXPECT_EQ(*selected, widest_isa());
  }
  EXPECT_TRUE(is_available(widest_isa()));
  for (const isa value : all) {
    EXPECT_TRUE(value <= widest_isa() || !is_available(value)) << name_of(value);
  }
}

TEST(Isa, EveryAvailableSetCanBeForced) {
  unsigned forced_sets = 0;
  for (const isa value : all) {
    if (!is_available(value)) continue;
    const forced_backend forced(std::string(name_of(value)).c_str());
    const result<isa> selected = selected_isa();
    ASSERT_TRUE(selected.has_value()) << name_of(value);
    EXPECT_EQ(*selected, value);
    ++forced_sets;
  }
  EXPECT_GE(forced_sets, 1U);
  EXPECT_TRUE(is_available(isa::scalar));
}

TEST(Isa, AForcedSetThatIsNotThereIsRefusedByName) {
  for (const isa value : all) {
    if (is_available(value)) continue;
    const forced_backend forced(std::string(name_of(value)).c_str());
    const result<isa> selected = selected_isa();
    ASSERT_FALSE(selected.has_value());
    EXPECT_EQ(selected.error().code(), status_code::unsupported);
    EXPECT_EQ(selected.error().detail(), name_of(value));
  }
  EXPECT_FALSE(is_available(static_cast<isa>(isa_count)));
}

TEST(Isa, AWordThatIsNoSetIsRefusedAndQuoted) {
  for (const char* word : {"neon", "AVX2", "avx", "scalar ", "avx5122", "cuda", "cuda_graph",
                           "automatic", "CPU"}) {
    const forced_backend forced(word);
    const result<isa> selected = selected_isa();
    ASSERT_FALSE(selected.has_value()) << word;
    EXPECT_EQ(selected.error().code(), status_code::invalid_argument);
    EXPECT_EQ(selected.error().detail(), word);
    const result<backend> kind = selected_backend();
    ASSERT_FALSE(kind.has_value()) << word;
    EXPECT_EQ(kind.error().code(), status_code::invalid_argument);
    EXPECT_EQ(kind.error().detail(), word);
  }
}

TEST(Backend, EachWordForcesItsBackendAndLeavesTheInstructionSetAlone) {
  for (const backend value : {backend::cpu, backend::cuda_stream, backend::cuda_graph}) {
    const forced_backend forced(std::string(name_of(value)).c_str());
    const result<backend> selected = selected_backend();
    ASSERT_TRUE(selected.has_value()) << name_of(value);
    EXPECT_EQ(*selected, value);
    const result<isa> set = selected_isa();
    ASSERT_TRUE(set.has_value()) << name_of(value);
    EXPECT_EQ(*set, widest_isa());
  }
}

TEST(Backend, AForcedInstructionSetIsTheCpu) {
  for (const isa value : all) {
    const forced_backend forced(std::string(name_of(value)).c_str());
    const result<backend> selected = selected_backend();
    ASSERT_TRUE(selected.has_value()) << name_of(value);
    EXPECT_EQ(*selected, backend::cpu);
  }
}

TEST(Backend, WithoutTheVariableItIsAutomatic) {
  for (const char* word : {static_cast<const char*>(nullptr), ""}) {
    const forced_backend forced(word);
    const result<backend> selected = selected_backend();
    ASSERT_TRUE(selected.has_value());
    EXPECT_EQ(*selected, backend::automatic);
  }
}

}  // namespace
}  // namespace sheaf
