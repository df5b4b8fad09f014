/// \file
/// A status says what, where and which thing, keeps its detail by value and never allocates for it.
#include <gtest/gtest.h>

#include <set>
#include <sheaf/base/status.hpp>
#include <string>

namespace sheaf {
namespace {

TEST(Status, IsOkWhenDefaultConstructedAndSaysSo) {
  const status good;
  EXPECT_TRUE(good.is_ok());
  EXPECT_EQ(good.code(), status_code::ok);
  EXPECT_EQ(good.text(), "ok");
  EXPECT_EQ(good.detail(), "");
  EXPECT_EQ(good.message(), "ok");
}

TEST(Status, MessageNamesSubsystemTextDetailAndCode) {
  const status bad(status_code::out_of_range, subsystem::engine, "index past the end",
                   "price[7] of 5");
  EXPECT_FALSE(bad.is_ok());
  EXPECT_EQ(bad.code(), status_code::out_of_range);
  EXPECT_EQ(bad.where(), subsystem::engine);
  EXPECT_EQ(bad.text(), "index past the end");
  EXPECT_EQ(bad.detail(), "price[7] of 5");
  EXPECT_EQ(bad.message(), "engine: index past the end: price[7] of 5 (out_of_range)");
}

TEST(Status, MessageLeavesOutAnEmptyDetail) {
  const status bad(status_code::closed, subsystem::engine, "the engine is closed");
  EXPECT_EQ(bad.message(), "engine: the engine is closed (closed)");
}

TEST(Status, DetailIsCopiedSoItsSourceMayGo) {
  std::string words = "first";
  const status bad(status_code::cycle, subsystem::graph, "cycle", words);
  words = "other";
  EXPECT_EQ(bad.detail(), "first");
}

TEST(Status, DetailIsCutAtItsLimitNeverPastIt) {
  const std::string exact(status::detail_size_max, 'x');
  const status fits(status_code::cycle, subsystem::graph, "cycle", exact);
  EXPECT_EQ(fits.detail(), exact);
  const status cut(status_code::cycle, subsystem::graph, "cycle", exact + "yz");
  EXPECT_EQ(cut.detail(), exact);
}

TEST(Status, FormattedDetailIsCutAtTheSameLimit) {
  const std::string filler(400, 'a');
  const status cut = make_status(status_code::too_many, subsystem::page, "too many", "%d %s", 42,
                                 filler.c_str());
  EXPECT_EQ(cut.detail(), ("42 " + filler).substr(0, status::detail_size_max));
  const status whole =
      make_status(status_code::too_many, subsystem::page, "too many", "%d of %d", 3, 2);
  EXPECT_EQ(whole.detail(), "3 of 2");
}

TEST(Status, CopyAndAssignmentCarryEverythingInBothDirections) {
  const status bad(status_code::io_error, subsystem::base, "read failed", "file a");
  status copy(bad);
  EXPECT_EQ(copy.message(), bad.message());
  copy = status{};
  EXPECT_TRUE(copy.is_ok());
  EXPECT_EQ(copy.detail(), "");
  copy = bad;
  EXPECT_EQ(copy.message(), "base: read failed: file a (io_error)");
  const status& self = copy;
  copy = self;
  EXPECT_EQ(copy.message(), "base: read failed: file a (io_error)");
}

TEST(Status, EveryCodeAndSubsystemHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i <= static_cast<unsigned>(status_code::failed); ++i) {
    const std::string_view name = name_of(static_cast<status_code>(i));
    EXPECT_NE(name, "unknown") << i;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(name_of(static_cast<status_code>(200)), "unknown");
  names.clear();
  for (unsigned i = 0; i <= static_cast<unsigned>(subsystem::cli); ++i) {
    const std::string_view name = name_of(static_cast<subsystem>(i));
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(name_of(subsystem::base), "base");
  EXPECT_EQ(name_of(subsystem::cli), "cli");
}

}  // namespace
}  // namespace sheaf
