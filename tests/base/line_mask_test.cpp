/// \file
/// Masks of lines against a bit-by-bit reference, and the sizes every layout relies on.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <sheaf/base/line_mask.hpp>
#include <vector>

namespace sheaf {
namespace {

static_assert(sizeof(line_mask) == 8 && page_lines_max == 64);
static_assert(line_size == std::size_t{1} << line_shift);

line_mask reference_between(unsigned begin, unsigned end) {
  line_mask mask = 0;
  for (unsigned line = 0; line < 64; ++line) {
    if (line >= begin && line < end) mask |= line_mask{1} << line;
  }
  return mask;
}

TEST(LineMask, FirstLinesIsExactAtEveryCountZeroAndSixtyFourIncluded) {
  for (unsigned count = 0; count <= 64; ++count) {
    EXPECT_EQ(first_lines(count), reference_between(0, count)) << count;
  }
}

TEST(LineMask, LinesBetweenIsExactForEveryRangeEmptyOnesIncluded) {
  for (unsigned begin = 0; begin <= 64; ++begin) {
    for (unsigned end = begin; end <= 64; ++end) {
      ASSERT_EQ(lines_between(begin, end), reference_between(begin, end)) << begin << ' ' << end;
    }
  }
}

RC_GTEST_PROP(LineMask, ForEachLineVisitsExactlyTheSetBitsInRisingOrder, (line_mask mask)) {
  std::vector<unsigned> expected;
  for (unsigned line = 0; line < 64; ++line) {
    if ((mask >> line & 1U) != 0) expected.push_back(line);
  }
  std::vector<unsigned> visited;
  for_each_line(mask, [&](unsigned line) { visited.push_back(line); });
  RC_ASSERT(visited == expected);
}

TEST(LineMask, ForEachLineVisitsNothingOfAnEmptyMaskAndAllOfAFullOne) {
  unsigned calls = 0;
  for_each_line(0, [&](unsigned) { ++calls; });
  EXPECT_EQ(calls, 0U);
  for_each_line(~line_mask{0}, [&](unsigned line) { EXPECT_EQ(line, calls++); });
  EXPECT_EQ(calls, 64U);
}

TEST(PageClass, DoublesFromOneLineToFourKibibytes) {
  EXPECT_EQ(bytes_of(page_class::b64), 64U);
  EXPECT_EQ(bytes_of(page_class::b4k), 4096U);
  for (unsigned i = 0; i < page_class_count; ++i) {
    const auto size = static_cast<page_class>(i);
    EXPECT_EQ(lines_of(size), 1U << i);
    EXPECT_EQ(bytes_of(size), lines_of(size) * line_size);
    EXPECT_EQ(bytes_of(size), std::size_t{1} << byte_shift(size));
    EXPECT_LE(lines_of(size), page_lines_max);
  }
}

}  // namespace
}  // namespace sheaf
