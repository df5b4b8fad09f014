#include "cuda/memory/device_page_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace device_test {
namespace {

using namespace sheaf;

struct device_copy {
  explicit device_copy(std::uint32_t slots) : frames(slots, index_of(no_frame)), births(slots) {}
  device_table_view view() { return {frames.data(), births.data()}; }
  void take(device_page_table& table, std::size_t most = 5) {
    std::vector<page_table_update> updates(most);
    while (const std::uint32_t count = table.pack(updates)) {
      for (std::uint32_t thread = 0; thread < 3; ++thread) {
        apply_updates(view(), updates.data(), count, thread, 3);
      }
    }
  }
  [[nodiscard]] bool follows(const device_page_table& table) const {
    for (std::uint32_t slot = 0; slot < table.slot_count(); ++slot) {
      if (frames[slot] != index_of(table.frame(slot))) return false;
      if (births[slot] != table.birth(slot)) return false;
    }
    return true;
  }
  std::vector<std::uint32_t> frames;
  std::vector<std::uint64_t> births;
};

struct rig {
  explicit rig(std::uint32_t slots) : device(slots), view(slots) {
    const std::vector<page_class> sizes(slots, page_class::b256);
    EXPECT_EQ(table.reset(sizes, &why), device_code::ok);
  }
  void begin(std::uint64_t epoch, std::uint64_t newest_pinned) {
    ASSERT_EQ(table.begin_commit(epoch, newest_pinned, table.slot_count(), &why), device_code::ok);
  }
  /// Slots from 0 on get `frames` in commit 1.
  void place(const std::vector<std::uint32_t>& frames) {
    begin(1, 0);
    for (std::uint32_t slot = 0; slot < frames.size(); ++slot) {
      table.place(slot, frame_id{frames[slot]});
    }
  }
  /// The commit of `epoch` replaces the frame of a page, with the epoch before it pinned.
  void replace(std::uint64_t epoch, std::uint32_t slot, std::uint32_t frame) {
    begin(epoch, epoch - 1);
    table.replace(slot, frame_id{frame});
  }
  std::vector<std::uint32_t> at(std::uint64_t epoch) {
    table.view_at(epoch, view);
    return view;
  }
  device_error why;
  device_page_table table;
  device_copy device;
  std::vector<std::uint32_t> view;
  std::vector<frame_id> freed;
  auto note() {
    return [this](page_class, frame_id frame) { freed.push_back(frame); };
  }
};
constexpr std::uint32_t none = index_of(no_frame);

TEST(DevicePageTable, ChangesInPlaceUnlessAPinSeesTheFrame) {
  rig r(3);
  r.place({10});
  r.begin(2, 0);
  EXPECT_TRUE(r.table.is_in_place(0));
  r.begin(3, 1);
  EXPECT_FALSE(r.table.is_in_place(0));
  r.table.replace(0, frame_id{11});
  EXPECT_TRUE(r.table.is_in_place(0)) << "a frame of this commit changes in place";
  r.begin(4, 2);
  EXPECT_TRUE(r.table.is_in_place(0)) << "born after the newest pin";
  r.begin(5, 3);
  EXPECT_FALSE(r.table.is_in_place(0)) << "a pin at its birth sees it";
}

TEST(DevicePageTable, SendsEachChangedEntryOnceAsItIsNow) {
  rig r(100);
  r.begin(1, 0);
  for (std::uint32_t slot = 0; slot < 100; ++slot) r.table.place(slot, frame_id{slot});
  r.device.take(r.table);
  EXPECT_TRUE(r.device.follows(r.table));
  EXPECT_EQ(r.table.unsent_count(), 0u);
  r.replace(2, 7, 200);
  r.table.replace(9, frame_id{201});
  r.replace(3, 7, 202);
  EXPECT_EQ(r.table.unsent_count(), 2u);
  EXPECT_FALSE(r.device.follows(r.table));
  r.device.take(r.table);
  EXPECT_TRUE(r.device.follows(r.table));
}

TEST(DevicePageTable, AnOldEpochSeesItsFrames) {
  rig r(3);
  r.place({10, 11});
  r.begin(3, 1);
  r.table.replace(0, frame_id{20});
  r.replace(5, 0, 30);
  r.table.replace(1, frame_id{31});
  r.table.place(2, frame_id{32});
  EXPECT_EQ(r.at(1), (std::vector<std::uint32_t>{10, 11, none}));
  EXPECT_EQ(r.at(2), (std::vector<std::uint32_t>{10, 11, none}));
  EXPECT_EQ(r.at(3), (std::vector<std::uint32_t>{20, 11, none}));
  EXPECT_EQ(r.at(4), (std::vector<std::uint32_t>{20, 11, none}));
  EXPECT_EQ(r.at(5), (std::vector<std::uint32_t>{30, 31, 32}));
}

TEST(DevicePageTable, ReclaimsAFrameWhenNoPinIsBetweenItsBirthAndItsEnd) {
  rig r(1);
  r.place({10});
  r.replace(3, 0, 11);
  r.replace(6, 0, 12);
  const std::vector<std::uint64_t> both{2, 5};
  EXPECT_EQ(r.table.reclaim(both, r.note()), 0u);
  const std::vector<std::uint64_t> second{5};
  EXPECT_EQ(r.table.reclaim(second, r.note()), 1u);
  EXPECT_EQ(r.freed, std::vector<frame_id>{frame_id{10}});
  const std::vector<std::uint64_t> newest{6};
  EXPECT_EQ(r.table.reclaim(newest, r.note()), 1u);
  EXPECT_EQ(r.freed.back(), frame_id{11});
  EXPECT_EQ(r.table.swap_count(), 0u);
}

TEST(DevicePageTable, RollingBackPutsEveryFrameBackAndTellsTheDevice) {
  rig r(4);
  r.place({10, 11, 12});
  r.device.take(r.table);
  r.replace(2, 0, 20);
  r.table.place(3, frame_id{23});
  r.device.take(r.table);
  const device_swap swaps[] = {{1, 21}};
  ASSERT_EQ(r.table.adopt(swaps, &r.why), device_code::ok);
  r.device.frames[1] = 21;
  r.device.births[1] = 2;
  EXPECT_TRUE(r.device.follows(r.table));
  r.table.roll_back(r.note());
  EXPECT_EQ(r.at(9), (std::vector<std::uint32_t>{10, 11, 12, none}));
  std::sort(r.freed.begin(), r.freed.end());
  EXPECT_EQ(r.freed, (std::vector<frame_id>{frame_id{20}, frame_id{21}, frame_id{23}}));
  r.device.take(r.table);
  EXPECT_TRUE(r.device.follows(r.table));
}

TEST(DevicePageTable, AdoptsNoSwapTheDeviceMayNotMake) {
  rig r(3);
  r.place({10, 11});
  r.begin(2, 1);
  const std::uint32_t swaps_before = r.table.swap_count();
  for (const device_swap bad : {device_swap{2, 5}, device_swap{9, 5}, device_swap{0, 6}}) {
    const device_swap swaps[] = {{0, 20}, bad};
    EXPECT_EQ(r.table.adopt(swaps, &r.why), device_code::invalid);
    EXPECT_EQ(r.table.frame(0), frame_id{10});
    EXPECT_EQ(r.table.birth(0), 1u);
    EXPECT_EQ(r.table.swap_count(), swaps_before);
  }
}

TEST(DevicePageTable, AKernelReplacesWhatTheHostWouldReplace) {
  rig r(4);
  r.place({10, 11});
  r.begin(3, 1);
  r.table.replace(1, frame_id{12});
  r.device.take(r.table);
  r.begin(4, 2);
  std::uint32_t ids[1] = {40};
  frame_stack credits{ids, 1, 1, 0, 0};
  device_swap found[1];
  device_swap_list swaps{found, 1, 0};
  frame_id old = no_frame;
  const auto writes = [&](std::uint32_t slot) {
    return frame_for_write(r.device.view(), slot, 4, 2, credits, swaps, &old);
  };
  EXPECT_EQ(writes(1), frame_id{12});
  EXPECT_EQ(old, no_frame);
  EXPECT_EQ(writes(0), frame_id{40});
  EXPECT_EQ(old, frame_id{10});
  EXPECT_EQ(writes(0), frame_id{40}) << "a frame of this commit changes in place";
  ASSERT_EQ(swaps.count, 1u);
  ASSERT_EQ(r.table.adopt({found, swaps.count}, &r.why), device_code::ok);
  EXPECT_TRUE(r.device.follows(r.table));
  EXPECT_EQ(r.at(3), (std::vector<std::uint32_t>{10, 12, none, none}));
}

TEST(DevicePageTable, AKernelWithoutCreditsChangesNothing) {
  rig r(1);
  r.place({10});
  r.device.take(r.table);
  frame_stack credits{nullptr, 0, 0, 0, 0};
  device_swap_list swaps{nullptr, 0, 0};
  frame_id old = no_frame;
  EXPECT_EQ(frame_for_write(r.device.view(), 0, 2, 1, credits, swaps, &old), no_frame);
  EXPECT_EQ(old, no_frame);
  EXPECT_TRUE(r.device.follows(r.table));
  EXPECT_EQ(swaps.count, 0u);
}

std::uint64_t seed() {
  const char* const given = std::getenv("SHEAF_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

/// Random commits, some of them undone, under random pins, beside one whole table an epoch.
TEST(DevicePageTable, EveryPinnedEpochSeesWhatItSawWhenItWasCurrent) {
  const std::uint64_t chosen = seed();
  SCOPED_TRACE("SHEAF_SEED=" + std::to_string(chosen));
  std::mt19937_64 random(chosen);
  constexpr std::uint32_t slots = 20;
  rig r(slots);
  std::map<std::uint64_t, std::vector<std::uint32_t>> pinned;
  std::uint32_t next_frame = 0;
  std::set<std::uint32_t> live;
  for (std::uint64_t epoch = 1; epoch < 400; ++epoch) {
    r.begin(epoch, pinned.empty() ? 0 : pinned.rbegin()->first);
    const std::vector<std::uint32_t> before = r.at(epoch);
    for (std::uint64_t n = random() % 8; n > 0; --n) {
      const auto slot = static_cast<std::uint32_t>(random() % slots);
      if (before[slot] == none) {
        if (r.table.frame(slot) == no_frame) r.table.place(slot, frame_id{next_frame});
        else continue;
      } else if (!r.table.is_in_place(slot)) {
        r.table.replace(slot, frame_id{next_frame});
      } else {
        continue;
      }
      live.insert(next_frame++);
    }
    r.freed.clear();
    if (random() % 5 == 0) {
      r.table.roll_back(r.note());
      EXPECT_EQ(r.at(epoch), before);
    }
    if (random() % 3 == 0) pinned[epoch] = r.at(epoch);
    if (!pinned.empty() && random() % 3 == 0) {
      pinned.erase(std::next(pinned.begin(), static_cast<long>(random() % pinned.size())));
    }
    std::vector<std::uint64_t> pins;
    for (const auto& [pin, table] : pinned) pins.push_back(pin);
    r.table.reclaim(pins, r.note());
    for (const frame_id frame : r.freed) ASSERT_EQ(live.erase(index_of(frame)), 1u);
    std::set<std::uint32_t> needed;
    for (const std::uint32_t frame : r.at(epoch)) needed.insert(frame);
    for (const auto& [pin, table] : pinned) {
      ASSERT_EQ(r.at(pin), table) << "epoch " << pin << " seen from " << epoch;
      needed.insert(table.begin(), table.end());
    }
    needed.erase(none);
    ASSERT_EQ(needed, live) << "a frame nobody sees is kept, or one that is seen was freed";
    r.device.take(r.table);
    ASSERT_TRUE(r.device.follows(r.table));
  }
}

}  // namespace
}  // namespace device_test
