#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>
#include <sheaf/observe/build_info.hpp>
#include <sheaf/observe/figures.hpp>

#include "observe/json.hpp"

namespace {

using namespace sheaf;  // NOLINT: tests of one library
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t large = 18'000'000'000'000'000'001u;  // a double would round it

/// Every figure different; the first one needs all 64 bits.
work_counters distinct_work(std::uint64_t step) {
  work_counters out;
  std::uint64_t next = step;
  for (const auto& at : work_figures) at.set(out, next += step);
  out.source_pages_touched += large - 100 * step;
  return out;
}

engine_stats distinct_stats(std::uint64_t step) {
  engine_stats out;
  std::uint64_t next = 1000;
  for (const auto& at : stats_figures) at.set(out, next += step);
  out.isa = "avx2";
  out.work = distinct_work(step);
  return out;
}

std::vector<std::vector<std::string>> cells_of(const std::string& table) {
  std::vector<std::vector<std::string>> out;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    out.emplace_back();
    for (std::string word; words >> word;) out.back().push_back(word);
  }
  return out;
}

TEST(Figures, EachStatsMemberHasOneRow) {
  engine_stats stats;
  stats.threads = 0;
  for (const auto& at : stats_figures) {
    EXPECT_NE(at.wide == nullptr, at.narrow == nullptr) << at.name;
    EXPECT_EQ(at.of(stats), 0u) << at.name << " shares its member with an earlier row";
    at.set(stats, 1);
  }
}

TEST(Figures, NamesAreUniqueAndUnitsAndMeaningsAreSaid) {
  std::set<std::string_view> names;
  const auto check = [&](const auto& figures) {
    for (const auto& at : figures) {
      EXPECT_TRUE(names.insert(at.name).second) << at.name;
      EXPECT_FALSE(at.meaning.empty()) << at.name;
      EXPECT_TRUE(!at.unit.empty() || at.name == "epoch") << at.name;
    }
  };
  check(work_figures);
  check(stats_figures);
}

TEST(Figures, TheSumOfCountersAddsEveryFigure) {
  work_counters sum = distinct_work(3);
  sum += distinct_work(5);
  for (const auto& at : work_figures) {
    EXPECT_EQ(at.of(sum), at.of(distinct_work(3)) + at.of(distinct_work(5))) << at.name;
  }
}

TEST(Figures, TheTextHasOneRowForEachFigureWithItsExactValue) {
  const work_counters work = distinct_work(7);
  const auto rows = cells_of(to_text(work));
  ASSERT_EQ(rows.size(), std::size(work_figures));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_GE(rows[i].size(), 4u);
    EXPECT_EQ(rows[i][0], work_figures[i].name);
    EXPECT_EQ(rows[i][1], std::to_string(work_figures[i].of(work)));
    EXPECT_EQ(rows[i][2], work_figures[i].unit);
  }
  EXPECT_EQ(rows[0][1], std::to_string(large - 700 + 14));
}

TEST(Figures, TheTextOfAnEngineEndsWithItsWork) {
  const auto rows = cells_of(to_text(distinct_stats(11)));
  ASSERT_EQ(rows.size(), std::size(stats_figures) + 1 + std::size(work_figures));
  EXPECT_EQ(rows[0], (std::vector<std::string>{"epoch", "1011", "published"}));
  EXPECT_EQ(rows[std::size(stats_figures)][0], "isa");
  EXPECT_EQ(rows[std::size(stats_figures)][1], "avx2");
  EXPECT_EQ(rows.back()[0], "mixed_commits");
}

TEST(Figures, ColumnsLineUpAndNoLineEndsInASpaceOrPassesAHundredColumns) {
  std::istringstream lines(to_text(distinct_stats(13)));
  std::set<std::size_t> value_ends;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_NE(line.back(), ' ') << line;
    const std::size_t value = line.find_first_not_of(' ', line.find(' '));
    value_ends.insert(line.find(' ', value));
  }
  EXPECT_EQ(value_ends.size(), 1u);
}

TEST(Figures, TheJsonHasEveryFigureInOrderWithItsExactValue) {
  const work_counters work = distinct_work(17);
  std::string expected = "{";
  for (const auto& at : work_figures) {
    if (expected.size() > 1) expected += ", ";
    expected += "\"" + std::string(at.name) + "\": " + std::to_string(at.of(work));
  }
  EXPECT_EQ(to_json(work), expected + "}");
}

TEST(Figures, WhatIsSaidOfADeviceIsTheLastLineAndInTheJson) {
  engine_stats stats = distinct_stats(23);
  EXPECT_EQ(to_text(stats).find("device:"), std::string::npos);
  stats.device = "no plugin, for a reason that is long";
  EXPECT_THAT(to_text(stats), EndsWith("\ndevice: no plugin, for a reason that is long\n"));
  EXPECT_THAT(to_json(stats),
              HasSubstr("\"device\": \"no plugin, for a reason that is long\", \"work\""));
}

TEST(Figures, TheJsonOfAnEngineHoldsItsTextAndItsWork) {
  const engine_stats stats = distinct_stats(19);
  const std::string json = to_json(stats);
  EXPECT_THAT(json, StartsWith("{\"epoch\": 1019, \"commits\": 1038, "));
  EXPECT_THAT(json, HasSubstr("\"isa\": \"avx2\", \"work\": " + to_json(stats.work) + "}"));
  for (const auto& at : stats_figures) {
    EXPECT_THAT(json, HasSubstr("\"" + std::string(at.name) +
                                "\": " + std::to_string(at.of(stats))));
  }
}

TEST(Figures, JsonTextIsEscaped) {
  EXPECT_EQ(json_quoted("a\"b\\c\n\x1f"), R"("a\"b\\c\u000a\u001f")");
  EXPECT_EQ(json_object().text("k", "v").number("n", 7).truth("t", true).truth("f", false).done(),
            R"({"k": "v", "n": 7, "t": true, "f": false})");
  EXPECT_EQ(json_object().done(), "{}");
}

TEST(Figures, ADifferenceSubtractsCountersAndKeepsTheLaterGauges) {
  const engine_stats earlier = distinct_stats(3);
  const engine_stats later = distinct_stats(5);
  const engine_stats between = difference(later, earlier);
  for (const auto& at : stats_figures) {
    const std::uint64_t less = at.kind == figure_kind::counter ? at.of(earlier) : 0;
    EXPECT_EQ(at.of(between), at.of(later) - less) << at.name;
  }
  EXPECT_EQ(between.isa, later.isa);
  for (const auto& at : work_figures) {
    const std::uint64_t more = at.of(later.work);
    const std::uint64_t less = at.of(earlier.work);
    EXPECT_EQ(at.of(between.work), more < less ? 0 : more - less) << at.name;
  }
  EXPECT_EQ(between.work.source_pages_touched, 0u);  // smaller in `later`
}

TEST(Figures, TheDifferenceOfTwoMomentsIsWhatTheCommitsBetweenThemDid) {
  model declared;
  const auto price = declared.source<float>("price", 1000);
  declared.derive("doubled", price + price);
  auto opened = engine::open(declared);
  ASSERT_TRUE(opened) << opened.error().message();
  const engine_stats before = opened->stats();
  work_counters sum;
  for (const std::uint64_t index : {3u, 700u}) {
    auto txn = opened->begin();
    txn.set(price, {.index = index}, 2.5f);
    ASSERT_TRUE(std::move(txn).commit());
    sum += opened->last_commit();
  }
  const engine_stats between = difference(opened->stats(), before);
  EXPECT_EQ(between.work, sum);
  EXPECT_EQ(between.commits, 2u);
  EXPECT_EQ(between.work.lines_recomputed, 2u);
}

TEST(BuildInfo, NamesVersionCompilerAndAssertions) {
  const build_info info = library_build();
  EXPECT_EQ(std::count(info.version.begin(), info.version.end(), '.'), 2);
  EXPECT_THAT(std::string(info.compiler), testing::ContainsRegex("^(gcc|clang) [0-9]+\\.[0-9]+"));
  EXPECT_THAT(info.assertions, testing::AnyOf("always", "debug", "paranoid"));
}

}  // namespace
