#include <sheaf/page/pin_registry.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "page/random.hpp"

namespace sheaf {
namespace {

constexpr std::uint64_t none = ~std::uint64_t{0};

pin_view scan_of(const pin_registry& pins) {
  pin_view view;
  pins.scan(view);
  return view;
}

TEST(PinRegistry, AnOpenPinIsSeenUntilItsLastOwnerIsGone) {
  pin_registry pins(8);
  std::atomic<std::uint64_t> published{7};
  EXPECT_TRUE(scan_of(pins).is_empty());
  const auto first = pins.open(published, readers::brief_wait).value();
  published = 9;
  const auto second = pins.open(published, readers::wait_free).value();
  const auto third = pins.open(published, readers::wait_free).value();
  EXPECT_EQ(first.epoch, 7u);
  EXPECT_EQ(second.epoch, 9u);
  EXPECT_NE(second.slot, third.slot);
  EXPECT_EQ(scan_of(pins).epochs, (std::vector<std::uint64_t>{7, 9}));
  EXPECT_EQ(scan_of(pins).oldest(), 7u);
  EXPECT_EQ(scan_of(pins).open_from, none);
  pins.share(first.slot);
  EXPECT_FALSE(pins.drop(first.slot));
  EXPECT_TRUE(pins.drop(first.slot));
  pins.close(first.slot);
  EXPECT_EQ(scan_of(pins).epochs, (std::vector<std::uint64_t>{9}));
  EXPECT_EQ(pins.open_count(), 2u);
  for (const auto& pin : {second, third}) {
    EXPECT_TRUE(pins.drop(pin.slot));
    pins.close(pin.slot);
  }
  EXPECT_TRUE(scan_of(pins).is_empty());
}

TEST(PinRegistry, PastItsSizeItIsTooManyAndAClosedSlotServesAgain) {
  pin_registry pins(2);
  std::atomic<std::uint64_t> published{3};
  const auto first = pins.open(published, readers::brief_wait).value();
  const auto second = pins.open(published, readers::brief_wait).value();
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(pins.open(published, readers::brief_wait).error().code(), status_code::too_many);
  }
  pins.close(first.slot);
  const auto third = pins.open(published, readers::brief_wait).value();
  EXPECT_EQ(third.slot, first.slot);
  EXPECT_EQ(pins.open(published, readers::brief_wait).error().code(), status_code::too_many);
  pins.close(second.slot);
  pins.close(third.slot);
}

TEST(PinRegistry, ABriefWaitOpenerWaitsForTheCommitInPlaceAndItsPinProtectsMeanwhile) {
  pin_registry pins(4);
  std::atomic<std::uint64_t> published{5};
  pins.begin_in_place(6);
  std::atomic<std::uint64_t> got{0};
  std::thread opener([&] { got = pins.open(published, readers::brief_wait).value().epoch; });
  while (pins.wait_count() == 0) std::this_thread::yield();
  EXPECT_EQ(scan_of(pins).open_from, 5u);
  EXPECT_TRUE(scan_of(pins).sees(1, 6)) << "a version that epoch 5 shows";
  EXPECT_FALSE(scan_of(pins).sees(1, 5));
  EXPECT_EQ(got, 0u);
  published = 6;
  pins.end_in_place();
  opener.join();
  EXPECT_EQ(got, 6u);
  EXPECT_EQ(scan_of(pins).open_from, none);
  EXPECT_EQ(scan_of(pins).epochs, (std::vector<std::uint64_t>{6}));
}

TEST(PinRegistry, AnOpenerWaitsForOneCommitOnly) {
  pin_registry pins(4);
  std::atomic<std::uint64_t> published{5};
  pins.begin_in_place(6);
  std::thread opener([&] { (void)pins.open(published, readers::brief_wait).value(); });
  while (pins.wait_count() == 0) std::this_thread::yield();
  published = 6;
  pins.end_in_place();
  pins.begin_in_place(7);
  opener.join();  // returns although 7 is in flight
  EXPECT_EQ(pins.wait_count(), 1u);
  pins.end_in_place();
}

TEST(PinRegistry, AWaitFreeOpenerNeverWaits) {
  pin_registry pins(4);
  std::atomic<std::uint64_t> published{5};
  pins.begin_in_place(6);
  EXPECT_EQ(pins.open(published, readers::wait_free).value().epoch, 5u);
  EXPECT_EQ(pins.wait_count(), 0u);
  pins.end_in_place();
}

TEST(PinRegistry, AWalkIsSeenWhileItLasts) {
  pin_registry pins(4);
  std::atomic<std::uint64_t> published{5};
  const auto pin = pins.open(published, readers::brief_wait).value();
  EXPECT_FALSE(pins.is_walked());
  pins.enter_walk(pin.slot);
  pins.enter_walk(pin.slot);
  pins.leave_walk(pin.slot);
  EXPECT_TRUE(pins.is_walked());
  pins.leave_walk(pin.slot);
  EXPECT_FALSE(pins.is_walked());
}

TEST(PinView, SeesExactlyTheVersionsSomePinCanRead) {
  sheaf_test::random_numbers random(20260);
  for (int round = 0; round < 2000; ++round) {
    pin_view view;
    for (std::uint64_t epoch = 1; epoch < 10; ++epoch) {
      if (random() % 3 == 0) view.epochs.push_back(epoch);
    }
    if (random() % 3 == 0) view.open_from = random() % 10 + 1;
    const std::uint64_t birth = random() % 9 + 1;
    const std::uint64_t superseded = birth + 1 + random() % 4;
    std::uint64_t newest = 0;
    bool sees = false;
    for (const std::uint64_t epoch : view.epochs) {
      if (epoch >= birth && epoch < superseded) newest = epoch;
    }
    // An opening pin may become any epoch from its own onwards.
    for (std::uint64_t epoch = view.open_from; epoch < 20; ++epoch) {
      sees |= epoch >= birth && epoch < superseded;
    }
    EXPECT_EQ(view.newest_within(birth, superseded), newest);
    EXPECT_EQ(view.sees(birth, superseded), sees || newest != 0);
  }
}

/// A committer that publishes epochs and frees versions no pin sees, beside threads that open and
/// close pins: no pinned version is ever freed, and what is free at the end is all but the last.
TEST(PinRegistryConcurrent, NoPinnedVersionIsFreed) {
  constexpr std::uint64_t epochs = 20'000;
  for (const readers mode : {readers::brief_wait, readers::wait_free}) {
    pin_registry pins(4);
    std::atomic<std::uint64_t> published{1};
    // Version e is what epoch e shows: born at e, superseded at e + 1. True: freed or overwritten.
    std::vector<std::atomic<bool>> gone(epochs + 2);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> opened{0};
    std::vector<std::thread> openers;
    for (int i = 0; i < 3; ++i) {
      openers.emplace_back([&] {
        while (!stop) {
          const auto pin = pins.open(published, mode);
          if (!pin) continue;
          for (int look = 0; look < 20; ++look) ASSERT_FALSE(gone[pin->epoch].load());
          opened.fetch_add(1);
          EXPECT_TRUE(pins.drop(pin->slot));
          pins.close(pin->slot);
        }
      });
    }
    std::vector<std::uint64_t> kept;
    pin_view view;
    for (std::uint64_t next = 2; next <= epochs; ++next) {
      const std::uint64_t before = next - 1;
      bool in_place = false;
      if (mode == readers::brief_wait) {
        pins.begin_in_place(next);
        pins.scan(view);
        in_place = view.open_from == none && !view.sees(before, next);
        if (in_place) gone[before] = true;
      }
      published = next;
      if (mode == readers::brief_wait) pins.end_in_place();
      if (!in_place) kept.push_back(before);
      pins.scan(view);
      std::erase_if(kept, [&](std::uint64_t version) {
        if (view.sees(version, version + 1)) return false;
        gone[version] = true;
        return true;
      });
      if (next % 64 == 0) std::this_thread::yield();
    }
    while (opened.load() < 100) std::this_thread::yield();
    stop = true;
    for (std::thread& opener : openers) opener.join();
    pins.scan(view);
    EXPECT_TRUE(view.is_empty());
  }
}

}  // namespace
}  // namespace sheaf
