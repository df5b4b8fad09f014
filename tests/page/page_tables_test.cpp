/// \file
/// Page tables whose slot numbers change while pins read the old ones.
#include <sheaf/page/frame_store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <vector>

#include "page/random.hpp"

namespace sheaf {
namespace {

constexpr page_class small = page_class::b256;  // four lines
constexpr page_class large = page_class::b1k;

/// Pages with names of their own, whatever slots they have; a page with an odd name is large.
class paged_state {
 public:
  using name = std::uint32_t;
  using image = std::map<name, unsigned char>;
  struct reader {
    pin_registry::pinned pin;
    const std::uint32_t* table;
    std::map<name, std::uint32_t> slots;
    image expected;
  };

  explicit paged_state(std::uint32_t pages, frame_store_options options = {}) : pins_(64) {
    options.slot_count = 0;
    store_ = frame_store::create(options).value();
    std::vector<name> first(pages);
    std::iota(first.begin(), first.end(), 0u);
    EXPECT_TRUE(change_table(first).is_ok());
  }

  static page_class class_of(name page) { return page % 2 == 0 ? small : large; }
  frame_store& store() { return *store_; }
  pin_registry& pins() { return pins_; }
  const std::map<name, std::uint32_t>& slots() const { return slots_; }
  std::uint64_t in_use() const { return store_->allocator().stats().total.bytes_in_use; }

  reader open() {
    return {pins_.open(published_, readers::brief_wait).value(), store_->frames(), slots_, now_};
  }
  void close(const reader& held) { pins_.close(held.pin.slot); }
  testing::AssertionResult is_still(const reader& held) {
    for (const auto& [page, slot] : held.slots) {
      const std::byte* bytes = store_->visible(held.table, slot, class_of(page), held.pin.epoch,
                                               pins_, held.pin.slot);
      for (unsigned line = 0; line < lines_of(class_of(page)); ++line) {
        if (std::to_integer<unsigned char>(bytes[line * line_size]) == held.expected.at(page)) {
          continue;
        }
        return testing::AssertionFailure() << "page " << page << " at epoch " << held.pin.epoch;
      }
    }
    return testing::AssertionSuccess();
  }

  /// Writes `values`, in a commit that may fail; `order`: another table, too.
  status commit(const image& values, bool fails, bool in_place, const std::vector<name>* order) {
    const std::uint64_t before = published_;
    const std::uint64_t first = first_of_table_;
    pin_view view;
    pins_.scan(view);
    const std::uint64_t newest = view.epochs.empty() ? 0 : view.epochs.back();
    const std::map<name, std::uint32_t> slots_before = slots_;
    store_->begin_commit(++number_, in_place && !fails && order == nullptr ? newest : before);
    if (order != nullptr) {
      const status begun = begin(*order);
      if (!begun.is_ok()) return begun;
    }
    frame_demand demand;
    for (const auto& [page, slot] : slots_) store_->add_demand(slot, class_of(page), demand);
    EXPECT_TRUE(store_->reserve(demand, logs_).is_ok());
    image next;
    for (const auto& [page, slot] : slots_) next[page] = now_.count(page) != 0 ? now_[page] : 0;
    for (const auto& [page, value] : values) {
      const auto at = slots_.find(page);
      if (at == slots_.end()) continue;
      write(at->second, class_of(page), value);
      next[page] = value;
    }
    if (fails) {
      store_->roll_back(logs_, pins_);
      if (order != nullptr) store_->undo_table();
      slots_ = slots_before;
      return {};
    }
    published_ = number_;
    now_ = next;
    if (order != nullptr) {
      store_->retire_table(first, pins_);
      first_of_table_ = number_;
    }
    store_->end_commit(logs_, pins_, keeps_spares);
    store_->reclaim(pins_);
    log_.clear();
    return {};
  }
  status change_table(const std::vector<name>& order) { return commit({}, false, false, &order); }

  bool is_consistent() const {
    std::vector<page_class> pages(store_->slot_count(), small);
    for (const auto& [page, slot] : slots_) pages[slot] = class_of(page);
    return store_->is_consistent(pages);
  }
  std::uint64_t bytes_of_pages() const {
    std::uint64_t bytes = 0;
    for (const auto& [page, slot] : slots_) bytes += bytes_of(class_of(page));
    return bytes;
  }

  bool keeps_spares = false;

 private:
  status begin(const std::vector<name>& order) {
    auto change = std::make_shared<table_change>();
    change->slot_count = static_cast<std::uint32_t>(order.size());
    std::map<name, std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < order.size(); ++slot) {
      slots[order[slot]] = slot;
      const auto before = slots_.find(order[slot]);
      if (before == slots_.end()) {
        change->fresh.push_back({slot, 1, class_of(order[slot])});
      } else {
        change->kept.push_back({before->second, slot, 1, class_of(order[slot])});
      }
    }
    for (const auto& [page, slot] : slots_) {
      if (slots.count(page) == 0) change->buried.push_back({slot, 1, class_of(page)});
    }
    const status begun = store_->begin_table(change, number_, pins_);
    if (begun.is_ok()) slots_ = slots;
    return begun;
  }
  void write(std::uint32_t slot, page_class page, unsigned char value) {
    const line_mask all = first_lines(lines_of(page));
    if (!store_->changes_in_place(slot, page)) (void)store_->replace(slot, page, all, log_);
    std::memset(store_->current(slot, page), value, bytes_of(page));
    store_->note_changed(slot, page, all);
  }

  pin_registry pins_;
  std::unique_ptr<frame_store> store_;
  frame_log log_;
  frame_log* list_[1] = {&log_};
  std::span<frame_log* const> logs_{list_};
  std::atomic<std::uint64_t> published_{1};
  std::uint64_t number_ = 1;
  std::uint64_t first_of_table_ = 1;
  std::map<name, std::uint32_t> slots_;
  image now_;
};

TEST(PageTables, AReaderOfTheOldTableSeesItsPagesWhereverTheyAreNow) {
  paged_state s(4);
  ASSERT_TRUE(s.commit({{0, 10}, {1, 11}, {2, 12}}, false, true, nullptr).is_ok());
  const auto old = s.open();
  ASSERT_TRUE(s.change_table({7, 2, 0, 3}).is_ok());
  const auto middle = s.open();
  ASSERT_TRUE(s.commit({{0, 20}, {7, 27}}, false, true, nullptr).is_ok());
  ASSERT_TRUE(s.change_table({0}).is_ok());
  ASSERT_TRUE(s.commit({{0, 30}}, false, true, nullptr).is_ok());
  for (const auto* held : {&old, &middle}) EXPECT_TRUE(s.is_still(*held));
  EXPECT_TRUE(s.is_consistent());
  s.close(middle);
  s.store().reclaim(s.pins());
  EXPECT_TRUE(s.is_still(old));
  EXPECT_TRUE(s.is_consistent());
  s.close(old);
  s.store().reclaim(s.pins());
  EXPECT_EQ(s.store().history_bytes(), 0u);
  EXPECT_EQ(s.in_use(), bytes_of(small));
}

TEST(PageTables, ATableLivesAsLongAsAPinOfItsEpochs) {
  paged_state s(2);
  const auto old = s.open();
  ASSERT_TRUE(s.change_table({1, 0}).is_ok());
  const auto now = s.open();
  EXPECT_TRUE(s.store().keeps(old.table));
  s.close(now);
  s.store().reclaim(s.pins());
  EXPECT_TRUE(s.store().keeps(old.table));
  s.close(old);
  s.store().reclaim(s.pins());
  EXPECT_FALSE(s.store().keeps(old.table));
}

TEST(PageTables, TheHeadOfAnOldChainStaysForReadersOfOlderVersions) {
  paged_state s(1);
  const auto old = s.open();
  ASSERT_TRUE(s.commit({{0, 1}}, false, false, nullptr).is_ok());
  ASSERT_TRUE(s.change_table({2, 0}).is_ok());
  const std::uint64_t bytes = s.in_use();
  // The frame of value 1 is what the old table names; nobody can see it any more.
  ASSERT_TRUE(s.commit({{0, 2}}, false, false, nullptr).is_ok());
  EXPECT_EQ(s.in_use(), bytes + bytes_of(small)) << "the head of the old table is kept";
  EXPECT_TRUE(s.is_consistent());
  EXPECT_TRUE(s.is_still(old));
  s.close(old);
  s.store().reclaim(s.pins());
  EXPECT_EQ(s.in_use(), 2 * bytes_of(small));
}

TEST(PageTables, AChangeThatDoesNotFitChangesNothing) {
  paged_state s(2, {.bytes_max = 4096, .history_bytes_max = 300});
  const std::uint64_t bytes = s.in_use();
  std::vector<paged_state::name> many(20);
  std::iota(many.begin(), many.end(), 0u);
  EXPECT_EQ(s.change_table(many).code(), status_code::out_of_memory);
  EXPECT_EQ(s.in_use(), bytes);
  const auto held = s.open();
  EXPECT_EQ(s.change_table({0}).code(), status_code::history_full) << "page 1 has 1024 bytes";
  EXPECT_TRUE(s.is_still(held));
  EXPECT_TRUE(s.is_consistent());
  s.close(held);
  EXPECT_TRUE(s.change_table({0}).is_ok()) << "nobody sees page 1";
  EXPECT_EQ(s.in_use(), bytes_of(small));
}

void run_at_random(std::uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  sheaf_test::random_numbers random(seed);
  paged_state s(3);
  s.keeps_spares = seed % 2 == 0;
  std::vector<paged_state::reader> held;
  paged_state::name next_name = 3;
  for (int step = 0; step < 100; ++step) {
    const auto choice = random() % 10;
    if (choice < 3 && held.size() < 8) {
      held.push_back(s.open());
    } else if (choice < 5 && !held.empty()) {
      const auto which = static_cast<std::ptrdiff_t>(random() % held.size());
      s.close(held[static_cast<std::size_t>(which)]);
      held.erase(held.begin() + which);
      if (random() % 2 == 0) s.store().reclaim(s.pins());
    } else {
      std::vector<paged_state::name> order;
      for (const auto& [page, slot] : s.slots()) {
        if (random() % 5 != 0) order.push_back(page);
      }
      while (order.size() < 6 && random() % 2 == 0) order.push_back(next_name++);
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
      paged_state::image values;
      for (const auto& [page, slot] : s.slots()) {
        if (random() % 2 == 0) values[page] = static_cast<unsigned char>(random());
      }
      for (const auto page : order) {
        if (random() % 4 == 0) values[page] = static_cast<unsigned char>(random());
      }
      const bool other_table = random() % 2 == 0;
      ASSERT_TRUE(s.commit(values, random() % 4 == 0, random() % 2 == 0,
                           other_table ? &order : nullptr)
                      .is_ok());
    }
    ASSERT_TRUE(s.is_consistent()) << "step " << step;
    const auto look = s.open();
    ASSERT_TRUE(s.is_still(look)) << "step " << step;
    s.close(look);
    for (const auto& reader : held) ASSERT_TRUE(s.is_still(reader)) << "step " << step;
  }
  for (const auto& reader : held) s.close(reader);
  s.store().reclaim(s.pins());
  EXPECT_TRUE(s.is_consistent());
  EXPECT_EQ(s.store().history_bytes(), 0u);
  EXPECT_EQ(s.in_use(), s.bytes_of_pages() + s.store().spare_bytes());
}

TEST(PageTables, EveryPinSeesTheBitsOfItsEpochAcrossRandomTables) {
  for (std::uint32_t seed = 1; seed <= 500; ++seed) {
    run_at_random(seed);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace sheaf
