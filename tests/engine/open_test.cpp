/// \file
/// What `engine::open` refuses, and how it says so.
#include <cstdlib>
#include <optional>
#include <string>

#include "engine/support.hpp"

namespace engine_test {
namespace {

/// Sets an environment variable for one scope.
class environment {
 public:
  environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) before_ = old;
    setenv(name, value, 1);
  }
  ~environment() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(Open, ReportsEveryMistakeOfTheModelAtOnce) {
  model m;
  const auto a = m.source<float>("a", 10);
  (void)m.source<float>("a", 10);
  (void)m.source<float>("nothing", 0);
  const auto b = m.source<float>("b", 11);
  (void)m.derive("uneven", a + b);
  (void)m.declare<float>("never", 4);
  const auto opened = engine::open(m);
  ASSERT_FALSE(opened);
  EXPECT_EQ(m.mistakes().size(), 4u);
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("4 mistakes"));
  EXPECT_EQ(opened.error().code(), m.mistakes().front().code());
}

/// `open` of a model with one mistake says exactly that mistake.
void expect_open_fails(const model& m, status_code code,
                       std::initializer_list<std::string_view> words) {
  const auto opened = engine::open(m);
  ASSERT_FALSE(opened);
  expect_status(opened.error(), code, words);
}

TEST(Open, NamesADuplicate) {
  model m;
  (void)m.source<float>("price", 10);
  (void)m.source<double>("price", 10);
  expect_open_fails(m, status_code::duplicate_name, {"price"});
}

TEST(Open, NamesThePathOfACycle) {
  model m;
  const auto a = m.declare<float>("a", 10);
  const auto b = m.derive("b", a * 2.0f);
  m.define(a, definition<float>(b + 1.0f));
  expect_open_fails(m, status_code::cycle, {"a", "b"});
}

TEST(Open, NamesAnArrayOfNoElements) {
  model m;
  (void)m.source<float>("empty", 0);
  expect_open_fails(m, status_code::invalid_argument, {"empty"});
}

TEST(Open, NamesAnArrayThatWasNeverDefined) {
  model m;
  (void)m.declare<float>("later", 4);
  expect_open_fails(m, status_code::undefined_array, {"later"});
}

TEST(Open, NamesAnOperandOfAnotherModel) {
  model other;
  const auto strange = other.source<float>("strange", 10);
  model m;
  (void)m.derive("mixed", strange + 1.0f);
  expect_open_fails(m, status_code::foreign_handle, {"mixed"});
}

TEST(Open, NamesAnEagerArrayOverALazyOne) {
  model m;
  const auto a = m.source<float>("a", 10);
  const auto lazy = m.derive("lazy", a * 2.0f, {.when = evaluation::lazy});
  (void)m.derive("eager", lazy + 1.0f);
  expect_open_fails(m, status_code::eager_over_lazy, {"eager", "lazy"});
}

TEST(Open, NamesOperandsOfDifferentLengths) {
  model m;
  const auto a = m.source<float>("a", 10);
  const auto b = m.source<float>("b", 11);
  (void)m.derive("uneven", a + b);
  expect_open_fails(m, status_code::length_mismatch, {"uneven"});
}

TEST(Open, RefusesADirectory) {
  model m;
  (void)m.source<float>("a", 10);
  const auto opened = engine::open(m, {.directory = "desk.sheaf"});
  ASSERT_FALSE(opened);
  expect_status(opened.error(), status_code::unsupported, {"desk.sheaf"});
}

TEST(Open, RefusesOptionsOutsideTheirRange) {
  model m;
  (void)m.source<float>("a", 10);
  const auto none = engine::open(m, {.snapshots_max = 0});
  ASSERT_FALSE(none);
  expect_status(none.error(), status_code::invalid_argument, {"snapshots_max"});
  const auto many = engine::open(m, {.threads = 5000});
  ASSERT_FALSE(many);
  expect_status(many.error(), status_code::invalid_argument, {"5000", "1024"});
}

TEST(Open, RefusesABackendThatIsNoneAndTakesOneThatIs) {
  model m;
  (void)m.source<float>("a", 10);
  {
    const environment forced("SHEAF_FORCE_BACKEND", "quantum");
    const auto opened = engine::open(m);
    ASSERT_FALSE(opened);
    expect_status(opened.error(), status_code::invalid_argument, {"quantum", "scalar"});
  }
  {
    const environment forced("SHEAF_FORCE_BACKEND", "scalar");
    EXPECT_EQ(opened(m).stats().isa, "scalar");
  }
}

TEST(Open, AnEmptyModelHasEpochsToo) {
  const model m;
  engine e = opened(m);
  EXPECT_EQ(e.epoch(), epoch{1});
  EXPECT_EQ(committed(e.begin()), epoch{2});
  EXPECT_EQ(e.snapshot().epoch(), epoch{2});
}

TEST(Open, AHostFunctionThatFailsInItFailsIt) {
  model m;
  const auto a = m.source<float>("a", 10);
  (void)m.derive_host<float>("sour", 10, {a}, [](host_call&) {
    return status(status_code::invalid_argument, subsystem::engine, "never works");
  });
  const auto opened = engine::open(m);
  ASSERT_FALSE(opened);
  expect_status(opened.error(), status_code::operator_failed, {"sour", "never works"});
}

}  // namespace
}  // namespace engine_test
