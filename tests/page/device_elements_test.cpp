// Deltas of single elements and the gathering of what changed, by hosts in place of a grid.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sheaf/page/delta_apply.hpp>

#include "cuda/page/collect_bodies.hpp"
#include "cuda/page/element_bodies.hpp"
#include "model/dice.hpp"
#include "page/device_rig.hpp"

namespace {

using namespace sheaf;
using page_test::aligned_bytes;
using page_test::device_rig;

// An array of `pages` pages whose first slot is not 0, and its copy that the host's apply changes.
template <element T>
struct element_rig {
  element_rig(model_test::dice& dice, page_class size, std::uint32_t pages)
      : array{3, size, dtype_of<T>, std::uint64_t{pages} * bytes_of(size) / sizeof(T)},
        frames(3 + pages), mine(pages * bytes_of(size)), expected(pages * bytes_of(size)),
        masks(3 + pages), expected_masks(3 + pages), touched(pages / 64 + 1, ~std::uint64_t{0}) {
    for (std::uint32_t i = 0; i < pages; ++i) frames[3 + i] = pages - 1 - i;
    for (std::uint64_t i = 0; i < array.length; ++i) {
      const T value = dice.value<T>();
      std::memcpy(mine.data() + i * sizeof(T), &value, sizeof(T));
    }
    std::memcpy(expected.data(), mine.data(), mine.size());
  }
  [[nodiscard]] device_scatter into() {
    device_scatter made{};
    made.pages.base[static_cast<unsigned>(array.size)] = mine.data();
    made.pages.frames = frames.data();
    made.changed = masks.data();
    return made;
  }
  template <class Index>
  void apply(merge_operator op, const std::vector<Index>& indices, const std::vector<T>& values) {
    const unsigned element = size_shift(array.type);
    const sheaf::scatter_target target{frames.data() + 3,
                                       expected.data(),
                                       byte_shift(array.size) - element,
                                       byte_shift(array.size),
                                       expected_masks.data() + 3,
                                       touched.data(),
                                       nullptr,
                                       nullptr};
    const apply_table& table = *apply_of(isa::scalar);
    const auto o = static_cast<unsigned>(op);
    const auto t = static_cast<unsigned>(array.type);
    if constexpr (sizeof(Index) == 8) {
      table.scatter64[o][t](target, indices.data(), values.data(), indices.size());
    } else {
      table.scatter32[o][t](target, indices.data(), values.data(), indices.size());
    }
  }
  [[nodiscard]] bool is_as_expected() const {
    return std::memcmp(mine.data(), expected.data(), mine.size()) == 0 && masks == expected_masks;
  }

  device_array array;
  std::vector<std::uint32_t> frames;
  aligned_bytes mine, expected;
  std::vector<line_mask> masks, expected_masks;
  std::vector<std::uint64_t> touched;
};

template <element T, class Index>
void merge_like_the_host(model_test::dice& dice, merge_operator op, bool is_distinct) {
  const auto size = page_class(dice.below(page_class_count));
  element_rig<T> rig(dice, size, static_cast<std::uint32_t>(1 + dice.below(5)));
  std::vector<Index> indices;
  const std::uint64_t near = 1 + dice.below(rig.array.length);
  if (is_distinct) {
    indices.resize(rig.array.length);
    std::iota(indices.begin(), indices.end(), Index{0});
    for (std::size_t i = indices.size(); i > 1; --i) {
      std::swap(indices[i - 1], indices[dice.below(i)]);
    }
    indices.resize(1 + dice.below(indices.size()));
  } else {
    for (std::uint64_t n = 1 + dice.below(200); n != 0; --n) {
      indices.push_back(static_cast<Index>(dice.below(near)));
    }
  }
  std::vector<T> values;
  for (std::size_t i = 0; i < indices.size(); ++i) values.push_back(dice.value<T>());
  rig.apply(op, indices, values);

  const element_target target = target_of(rig.array, rig.into());
  const auto* bits = reinterpret_cast<const bits_of<T>*>(values.data());
  if (is_distinct) {
    for (std::size_t k = indices.size(); k-- != 0;) {
      merge_run<T>(target, op, indices[k], bits + k, nullptr, 1);
    }
  } else {
    std::vector<std::uint32_t> order(indices.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return indices[a] < indices[b]; });
    std::vector<Index> sorted;
    for (const std::uint32_t k : order) sorted.push_back(indices[k]);
    for (std::size_t k = sorted.size(); k-- != 0;) {
      merge_run_at<T, Index>(target, op, sorted.data(), order.data(), sorted.size(), k,
                             values.data());
    }
  }
  ASSERT_TRUE(rig.is_as_expected())
      << name_of(op) << " " << name_of(dtype_of<T>) << " distinct " << is_distinct;
}

TEST(DeviceElements, LeaveTheBitsAndMasksOfTheHostsApply) {
  model_test::dice dice(page_test::seed_of("DeviceElements"));
  for (int round = 0; round < 40; ++round) {
    for (unsigned o = 0; o < merge_operator_count; ++o) {
      for (unsigned t = 0; t < dtype_count; ++t) {
        if (!supports(merge_operator(o), dtype(t))) continue;
        visit_dtype(dtype(t), [&](auto type) {
          using T = typename decltype(type)::type;
          const bool is_distinct = dice.chance(50);
          if (dice.chance(50)) {
            merge_like_the_host<T, std::uint32_t>(dice, merge_operator(o), is_distinct);
          } else {
            merge_like_the_host<T, std::uint64_t>(dice, merge_operator(o), is_distinct);
          }
        });
      }
    }
  }
}

TEST(DeviceElements, AddFloatsInTheOrderGiven) {
  model_test::dice dice(1);
  element_rig<float> rig(dice, page_class::b64, 1);
  const std::vector<std::uint32_t> indices{5, 5, 5};
  const std::vector<float> values{1e30f, 1.0f, -1e30f};
  const float zero = 0;
  std::memcpy(rig.mine.data() + 20, &zero, 4);
  const std::vector<std::uint32_t> order{0, 1, 2};
  merge_run_at<float, std::uint32_t>(target_of(rig.array, rig.into()), merge_operator::add,
                                     indices.data(), order.data(), 3, 0, values.data());
  float sum = 1;
  std::memcpy(&sum, rig.mine.data() + 20, 4);
  EXPECT_EQ(to_bits(sum), to_bits(0.0f));
  EXPECT_EQ(rig.masks[3], 1u);  // noted, though the bits are what they were
}

// Slots with masks, some of them observed; and what a collection of them must give.
struct collect_rig {
  collect_rig(page_test::random_numbers& random, std::uint32_t slots)
      : rig(random, slots), onto(slots), observed(slots / 32 + 1) {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      observed[slot >> 5] |= (random() % 4 != 0 ? 1u : 0u) << (slot & 31);
      if (random() % 3 == 0) continue;
      rig.changed[slot] = page_test::random_mask(random, random() % 3) &
                          first_lines(lines_of(rig.classes[slot]));
    }
    masks = rig.changed;
  }
  [[nodiscard]] collect_request request() {
    collect_request made{};
    made.pages = rig.pages();
    made.changed = rig.changed.data();
    made.onto = onto.data();
    made.classes = rig.classes.data();
    made.observed = observed.data();
    made.count = rig.slot_count();
    return made;
  }
  // Compares a record with the pages; marks its slots as seen.
  void check(const line_record* pages, std::uint32_t count, const std::byte* lines,
             std::uint32_t line_total, std::vector<bool>& seen) {
    std::uint32_t at = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t slot = pages[i].slot;
      ASSERT_LT(slot, rig.slot_count());
      ASSERT_FALSE(seen[slot]);
      seen[slot] = true;
      ASSERT_EQ(pages[i].lines, masks[slot]);
      ASSERT_NE(pages[i].lines, 0u);
      ASSERT_EQ(rig.changed[slot], 0u);
      ASSERT_EQ(onto[slot], masks[slot]);
      if ((observed[slot >> 5] >> (slot & 31) & 1) == 0) continue;
      for_each_line(pages[i].lines, [&](unsigned line) {
        ASSERT_LT(at, line_total);
        ASSERT_EQ(std::memcmp(lines + at++ * line_size,
                              rig.expected_page(slot) + line * line_size, line_size),
                  0);
      });
    }
    ASSERT_EQ(at, line_total);
  }

  device_rig rig;
  std::vector<line_mask> masks, onto;
  std::vector<std::uint32_t> observed;
};

TEST(Collect, GivesEveryChangedPageOnceInAsManyCallsAsItTakes) {
  page_test::random_numbers random(page_test::seed_of("Collect"));
  for (int round = 0; round < 60; ++round) {
    const std::uint32_t slots = 1 + random() % 400;
    collect_rig rig(random, slots);
    collect_request request = rig.request();
    std::vector<std::uint32_t> list(slots);
    if (round % 2 == 0) {
      std::iota(list.begin(), list.end(), 0u);
      for (std::uint32_t i = slots; i > 1; --i) std::swap(list[i - 1], list[random() % i]);
      request.slots = list.data();
    }
    std::vector<line_record> pages(collect_pages_min + random() % 100);
    aligned_bytes lines((collect_lines_min + random() % 4000) * line_size);
    const collect_space space{pages.data(), lines.data(), static_cast<std::uint32_t>(pages.size()),
                              static_cast<std::uint32_t>(lines.size() / line_size)};
    std::vector<bool> seen(slots);
    const std::uint32_t groups = (slots + group_slots - 1) / group_slots;
    for (std::uint32_t calls = 0;; ++calls) {
      ASSERT_LE(calls, groups);
      collect_counters counters{0, no_claim};
      std::atomic<std::uint32_t> next{0};
      const auto work = [&] {
        for (std::uint32_t g = next++; g < groups; g = next++) {
          collect_group(request, space, &counters, g);
        }
      };
      std::thread other(work);
      work();
      other.join();
      const std::uint64_t given = granted(counters);
      rig.check(pages.data(), pages_of_claim(given), lines.data(), lines_of_claim(given), seen);
      if (HasFatalFailure()) return;
      if (given == counters.asked) break;
    }
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      ASSERT_EQ(seen[slot], rig.masks[slot] != 0);
    }
  }
}

TEST(Collect, LeavesAGroupThatFindsNoRoomAsItWas) {
  page_test::random_numbers random(page_test::seed_of("Collect"));
  collect_rig rig(random, 32);
  line_record page;
  aligned_bytes lines(line_size);
  const collect_space space{&page, lines.data(), 1, 1};
  collect_counters counters{0, no_claim};
  collect_group(rig.request(), space, &counters, 0);
  EXPECT_EQ(granted(counters), 0u);
  EXPECT_EQ(rig.rig.changed, rig.masks);
  EXPECT_GT(pages_of_claim(counters.asked), 1u);
}

}  // namespace
