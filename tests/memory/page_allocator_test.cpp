#include <sheaf/memory/page_allocator.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace sheaf {
namespace {

constexpr page_class all_classes[page_class_count] = {
    page_class::b64, page_class::b128, page_class::b256, page_class::b512,
    page_class::b1k, page_class::b2k,  page_class::b4k};

std::unique_ptr<page_allocator> make(const page_allocator_options& options = {}) {
  result<std::unique_ptr<page_allocator>> made = page_allocator::create(options);
  EXPECT_TRUE(made.has_value()) << made.error().message();
  return std::move(*made);
}

std::vector<frame_id> allocate_all(page_allocator& pages, page_class size, std::size_t most) {
  std::vector<frame_id> frames;
  while (frames.size() < most) {
    const frame_id frame = pages.allocate(size);
    if (frame == no_frame) break;
    frames.push_back(frame);
  }
  return frames;
}

void free_all(page_allocator& pages, page_class size, const std::vector<frame_id>& frames) {
  for (const frame_id frame : frames) pages.deallocate(size, frame);
}

std::set<std::uint32_t> distinct(const std::vector<frame_id>& frames) {
  std::set<std::uint32_t> ids;
  for (const frame_id frame : frames) ids.insert(index_of(frame));
  return ids;
}

bool is_zero(const std::byte* bytes, std::size_t size) {
  return std::all_of(bytes, bytes + size, [](std::byte b) { return b == std::byte{0}; });
}

TEST(PageAllocator, HandsOutDistinctFramesAtTheAddressTheIdSays) {
  const auto pages = make();
  for (const page_class size : all_classes) {
    const auto frames = allocate_all(*pages, size, 1000);
    ASSERT_EQ(frames.size(), 1000u);
    EXPECT_EQ(distinct(frames).size(), 1000u);
    for (const frame_id frame : frames) {
      ASSERT_LT(index_of(frame), pages->frame_limit(size));
      std::byte* const page = pages->address(size, frame);
      ASSERT_EQ(page, pages->base(size) + index_of(frame) * bytes_of(size));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(page) % line_size, 0u);
      std::memset(page, static_cast<int>(index_of(frame) & 0xff), bytes_of(size));
    }
    for (const frame_id frame : frames) {
      const std::byte* const page = pages->address(size, frame);
      const std::byte stamp{static_cast<unsigned char>(index_of(frame) & 0xff)};
      ASSERT_EQ(page[0], stamp);
      ASSERT_EQ(page[bytes_of(size) - 1], stamp);
    }
  }
}

TEST(PageAllocator, IdsAreDenseSoSideTablesStaySmall) {
  const auto pages = make();
  const auto frames = allocate_all(*pages, page_class::b256, 10'000);
  EXPECT_LT(*distinct(frames).rbegin(), 10'000u + page_allocator::magazine_size);
}

TEST(PageAllocator, ReusesFreedFramesBeforeItCreatesNewOnes) {
  const auto pages = make();
  const auto first = allocate_all(*pages, page_class::b1k, 5000);
  const std::uint64_t created = pages->stats().classes[4].frames_created;
  for (int round = 0; round < 10; ++round) {
    free_all(*pages, page_class::b1k, first);
    const auto again = allocate_all(*pages, page_class::b1k, 5000);
    EXPECT_EQ(distinct(again).size(), 5000u);
  }
  EXPECT_EQ(pages->stats().classes[4].frames_created, created);
}

TEST(PageAllocator, StopsExactlyAtTheByteLimitAndServesAgainAfterOneFree) {
  for (const page_class size : all_classes) {
    for (const std::size_t count : {1u, 63u, 64u, 65u, 1000u}) {
      const auto pages = make({.bytes_max = count * bytes_of(size) + bytes_of(size) - 1});
      auto frames = allocate_all(*pages, size, count + 10);
      ASSERT_EQ(frames.size(), count);
      EXPECT_EQ(distinct(frames).size(), count);
      EXPECT_EQ(pages->allocate(size), no_frame);
      EXPECT_EQ(pages->exhausted_status(size).code(), status_code::out_of_memory);
      EXPECT_EQ(pages->stats().total.bytes_in_use, count * bytes_of(size));
      for (int round = 0; round < 3; ++round) {
        pages->deallocate(size, frames.back());
        const frame_id again = pages->allocate(size);
        ASSERT_NE(again, no_frame);
        EXPECT_EQ(again, frames.back());
        ASSERT_EQ(pages->allocate(size), no_frame);
      }
      free_all(*pages, size, frames);
      EXPECT_EQ(allocate_all(*pages, size, count + 10).size(), count);
    }
  }
}

TEST(PageAllocator, AFullLimitOfOneClassCanBeSpentOnAnotherAfterTheFrees) {
  const auto pages = make({.bytes_max = std::size_t{1} << 20});
  const auto large = allocate_all(*pages, page_class::b4k, 1000);
  ASSERT_EQ(large.size(), 256u);
  EXPECT_EQ(pages->allocate(page_class::b64), no_frame);
  free_all(*pages, page_class::b4k, large);
  const auto small = allocate_all(*pages, page_class::b64, 100'000);
  EXPECT_EQ(small.size(), std::size_t{1} << 14);
  EXPECT_EQ(pages->allocate(page_class::b4k), no_frame);
}

TEST(PageAllocator, RandomCallsNeverPassTheLimitNorLoseAByte) {
  const std::uint32_t seed = 20'240'611;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr std::size_t bytes_max = 300'000;
  const auto pages = make({.bytes_max = bytes_max});
  std::vector<std::pair<page_class, frame_id>> held;
  std::set<std::pair<page_class, std::uint32_t>> live;
  std::size_t bytes = 0, refusals = 0;
  for (int step = 0; step < 200'000; ++step) {
    if (random() % 100 < 55) {
      const page_class size = all_classes[random() % page_class_count];
      const frame_id frame = pages->allocate(size);
      if (frame == no_frame) {
        ++refusals;
        ASSERT_GT(bytes + bytes_of(size), bytes_max) << "refused although there was room";
        continue;
      }
      bytes += bytes_of(size);
      ASSERT_LE(bytes, bytes_max);
      ASSERT_TRUE(live.insert({size, index_of(frame)}).second) << "handed out twice";
      held.push_back({size, frame});
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      const auto [size, frame] = held.back();
      held.pop_back();
      live.erase({size, index_of(frame)});
      bytes -= bytes_of(size);
      pages->deallocate(size, frame);
    }
  }
  EXPECT_GT(refusals, 1000u);
  EXPECT_EQ(pages->stats().total.bytes_in_use, bytes);
  EXPECT_EQ(pages->stats().total.frames_in_use, held.size());
}

TEST(PageAllocator, ZeroedFramesAreZeroAfterReuse) {
  const auto pages = make();
  for (const page_class size : all_classes) {
    const auto frames = allocate_all(*pages, size, 200);
    for (const frame_id frame : frames) {
      std::memset(pages->address(size, frame), 0xff, bytes_of(size));
    }
    free_all(*pages, size, frames);
    for (int i = 0; i < 200; ++i) {
      const frame_id frame = pages->allocate_zeroed(size);
      ASSERT_TRUE(is_zero(pages->address(size, frame), bytes_of(size)));
    }
  }
}

TEST(PageAllocator, RefusesOptionsWithoutRoom) {
  EXPECT_EQ(page_allocator::create({.bytes_max = 0}).error().code(), status_code::invalid_argument);
  EXPECT_EQ(page_allocator::create({.reserve_per_class = 0}).error().code(),
            status_code::invalid_argument);
}

TEST(PageAllocator, UsedUpAddressSpaceIsARefusalWithNothingLost) {
  const auto pages = make({.reserve_per_class = virtual_arena::step_size});
  const auto frames = allocate_all(*pages, page_class::b4k, 10'000);
  EXPECT_EQ(frames.size(), 512u);
  EXPECT_EQ(pages->exhausted_status(page_class::b4k).code(), status_code::out_of_memory);
  EXPECT_NE(pages->allocate(page_class::b2k), no_frame);
  pages->deallocate(page_class::b4k, frames[17]);
  EXPECT_EQ(pages->allocate(page_class::b4k), frames[17]);
}

TEST(PageAllocator, MakesNoSystemCallForAPageAndFewForMany) {
  const auto pages = make();
  auto frames = allocate_all(*pages, page_class::b64, 1);
  const std::uint64_t before = pages->stats().system_calls;
  const auto more = allocate_all(*pages, page_class::b64, 30'000);
  EXPECT_EQ(pages->stats().system_calls, before);
  const auto many = allocate_all(*pages, page_class::b64, 1'000'000);
  EXPECT_LT(pages->stats().system_calls, before + 60);
}

TEST(PageAllocator, CountsWhatIsInUseCachedAndExchanged) {
  const auto pages = make();
  const auto frames = allocate_all(*pages, page_class::b2k, 100);
  page_allocator_stats stats = pages->stats();
  const page_class_stats& one = stats.classes[static_cast<unsigned>(page_class::b2k)];
  EXPECT_EQ(one.frames_in_use, 100u);
  EXPECT_EQ(one.bytes_in_use, 100u * 2048);
  EXPECT_EQ(one.frames_cached, 28u);
  EXPECT_EQ(one.frames_created, 128u);
  EXPECT_EQ(one.bytes_committed, virtual_arena::step_size);
  EXPECT_EQ(one.depot_exchanges, 2u);
  EXPECT_EQ(stats.bytes_claimed, 128u * 2048);
  EXPECT_EQ(stats.total.frames_in_use, 100u);
  pages->flush_thread();
  stats = pages->stats();
  EXPECT_EQ(one.frames_cached, 0u);
  EXPECT_EQ(one.frames_in_use, 100u);
  EXPECT_EQ(stats.bytes_claimed, 100u * 2048);
}

TEST(PageAllocator, AReservationKeepsItsFramesFromEverybodyElse) {
  const auto pages = make({.bytes_max = 200 * 4096});
  ASSERT_TRUE(pages->reserve(page_class::b4k, 150).is_ok());
  const auto others = allocate_all(*pages, page_class::b4k, 1000);
  EXPECT_EQ(others.size(), 50u);
  EXPECT_EQ(pages->allocate(page_class::b64), no_frame);
  std::vector<frame_id> frames = others;
  for (int i = 0; i < 150; ++i) {
    frames.push_back(pages->allocate_reserved(page_class::b4k));
    ASSERT_NE(frames.back(), no_frame);
  }
  EXPECT_EQ(distinct(frames).size(), 200u);
  EXPECT_EQ(pages->stats().total.frames_reserved, 0u);
  EXPECT_EQ(pages->stats().bytes_claimed, 200u * 4096);
  EXPECT_EQ(pages->allocate(page_class::b4k), no_frame);
}

TEST(PageAllocator, AReservationThatDoesNotFitChangesNothing) {
  const auto pages = make({.bytes_max = 200 * 4096});
  const auto frames = allocate_all(*pages, page_class::b4k, 100);
  const status refused = pages->reserve(page_class::b4k, 101);
  EXPECT_EQ(refused.code(), status_code::out_of_memory);
  EXPECT_THAT(std::string(refused.detail()), testing::HasSubstr("101 pages of 4096 bytes"));
  EXPECT_EQ(pages->stats().total.frames_reserved, 0u);
  EXPECT_EQ(pages->reserve(page_class::b4k, SIZE_MAX).code(), status_code::out_of_memory);
  ASSERT_TRUE(pages->reserve(page_class::b4k, 100).is_ok());
  EXPECT_EQ(pages->reserve(page_class::b4k, 1).code(), status_code::out_of_memory);
  pages->unreserve(page_class::b4k, 100);
  EXPECT_EQ(allocate_all(*pages, page_class::b4k, 1000).size(), 100u);
}

TEST(PageAllocator, ReservedAllocationsKeepWorkingWhereGrowthIsRefused) {
  static bool refuse;
  refuse = false;
  const auto pages =
      make({.on_grow = {[](void*, page_class, std::uint32_t) noexcept {
              return refuse ? status(status_code::out_of_memory, subsystem::page, "side table")
                            : status{};
            }}});
  ASSERT_TRUE(pages->reserve(page_class::b512, 10'000).is_ok());
  refuse = true;
  std::vector<frame_id> frames;
  for (int i = 0; i < 10'000; ++i) frames.push_back(pages->allocate_reserved(page_class::b512));
  EXPECT_EQ(distinct(frames).size(), 10'000u);
  EXPECT_EQ(distinct(frames).count(index_of(no_frame)), 0u);
  EXPECT_EQ(pages->stats().total.frames_in_use, 10'000u);
  free_all(*pages, page_class::b512, frames);
  pages->flush_thread();
  EXPECT_EQ(pages->stats().bytes_claimed, 0u) << "each frame carries one claim, not two";
}

TEST(PageAllocator, APartlyFilledMagazineClaimsOnlyWhatItHolds) {
  // 512 frames of address space. Another class leaves room for 10 frames, which are then taken one
  // at a time, so that batches of 64 do not come out even at the end of the fresh frames.
  const auto pages =
      make({.bytes_max = 1024 * 4096, .reserve_per_class = virtual_arena::step_size});
  const auto large = allocate_all(*pages, page_class::b2k, 1024);
  const auto more = allocate_all(*pages, page_class::b1k, 2008);
  ASSERT_EQ(large.size() + more.size(), 1024u + 2008u);
  const auto singles = allocate_all(*pages, page_class::b4k, 1000);
  ASSERT_EQ(singles.size(), 10u);
  free_all(*pages, page_class::b2k, large);
  free_all(*pages, page_class::b1k, more);
  free_all(*pages, page_class::b4k, singles);
  pages->flush_thread();
  const auto ids = distinct(allocate_all(*pages, page_class::b4k, 1000));
  EXPECT_EQ(ids.size(), 512u);
  EXPECT_EQ(*ids.rbegin(), 511u);
}

TEST(PageAllocatorDeathTest, AnAllocationPastItsReservationAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto pages = make();
  ASSERT_TRUE(pages->reserve(page_class::b64, 1).is_ok());
  ASSERT_NE(pages->allocate_reserved(page_class::b64), no_frame);
  EXPECT_DEATH(static_cast<void>(pages->allocate_reserved(page_class::b64)),
               "reservation-covers-allocation");
}

struct side_table {
  std::uint32_t limits[page_class_count] = {};
  std::uint32_t limit_max = 0xffff'ffffu;
  int calls = 0;
  int refusals = 0;

  static status grow(void* context, page_class size, std::uint32_t new_limit) noexcept {
    auto& table = *static_cast<side_table*>(context);
    ++table.calls;
    if (new_limit > table.limit_max) {
      ++table.refusals;
      return {status_code::out_of_memory, subsystem::page, "side table is full"};
    }
    table.limits[static_cast<unsigned>(size)] = new_limit;
    return {};
  }
};

TEST(PageAllocator, TheGrowthHookCoversEveryIdBeforeItIsHandedOut) {
  side_table table;
  const auto pages = make({.on_grow = {&side_table::grow, &table}});
  for (const page_class size : all_classes) {
    for (int i = 0; i < 40'000; ++i) {
      const frame_id frame = pages->allocate(size);
      ASSERT_LT(index_of(frame), table.limits[static_cast<unsigned>(size)]);
    }
    EXPECT_EQ(table.limits[static_cast<unsigned>(size)], pages->frame_limit(size));
  }
  EXPECT_LT(table.calls, 150);
}

TEST(PageAllocator, ARefusingGrowthHookFailsTheAllocationAndLosesNothing) {
  side_table table;
  table.limit_max = 1024;
  const auto pages = make({.on_grow = {&side_table::grow, &table}});
  const auto frames = allocate_all(*pages, page_class::b4k, 5000);
  EXPECT_EQ(frames.size(), 1024u);
  EXPECT_GT(table.refusals, 0);
  EXPECT_EQ(pages->frame_limit(page_class::b4k), 1024u);
  EXPECT_EQ(pages->reserve(page_class::b4k, 1).code(), status_code::out_of_memory);
  EXPECT_EQ(pages->stats().bytes_claimed, 1024u * 4096);
  pages->deallocate(page_class::b4k, frames[3]);
  EXPECT_EQ(pages->allocate(page_class::b4k), frames[3]);
  table.limit_max = 2048;
  EXPECT_EQ(allocate_all(*pages, page_class::b4k, 5000).size(), 1024u);
}

std::size_t resident_bytes() {
  std::size_t size = 0, resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const int fields = std::fscanf(file, "%zu %zu", &size, &resident);
  std::fclose(file);
  return fields == 2 ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool counts_shadow_memory = true;
#else
constexpr bool counts_shadow_memory = false;
#endif

TEST(PageAllocator, TrimGivesFreeMemoryBackAndFramesStayUsable) {
  const auto pages = make();
  constexpr std::size_t count = 16'384;
  auto frames = allocate_all(*pages, page_class::b4k, count);
  for (const frame_id frame : frames) std::memset(pages->address(page_class::b4k, frame), 7, 4096);
  const std::size_t before = resident_bytes();
  std::vector<frame_id> kept;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 8 == 0) kept.push_back(frames[i]);
    else pages->deallocate(page_class::b4k, frames[i]);
  }
  const std::size_t returned = pages->trim();
  EXPECT_GE(returned, (count - kept.size()) * 4096);
  if (!counts_shadow_memory) {
    EXPECT_LE(resident_bytes(), before - (count - kept.size()) * 4096 * 9 / 10);
  }
  EXPECT_EQ(pages->trim(), 0u) << "what is not resident cannot be returned again";
  for (const frame_id frame : kept) {
    ASSERT_EQ(pages->address(page_class::b4k, frame)[4095], std::byte{7});
  }
  const std::uint64_t created = pages->stats().total.frames_created;
  auto again = allocate_all(*pages, page_class::b4k, count - kept.size());
  EXPECT_EQ(pages->stats().total.frames_created, created);
  for (const frame_id frame : again) {
    ASSERT_TRUE(is_zero(pages->address(page_class::b4k, frame), 4096));
    std::memset(pages->address(page_class::b4k, frame), 8, 4096);
  }
  again.insert(again.end(), kept.begin(), kept.end());
  EXPECT_EQ(distinct(again).size(), count);
}

TEST(PageAllocator, TrimLeavesAPageOfTheSystemAloneWhileAnyFrameInItIsUsed) {
  const auto pages = make();
  const auto frames = allocate_all(*pages, page_class::b64, 6400);
  for (const frame_id frame : frames) std::memset(pages->address(page_class::b64, frame), 7, 64);
  std::vector<frame_id> kept;
  for (const frame_id frame : frames) {
    if (index_of(frame) % 64 == 5) kept.push_back(frame);
    else pages->deallocate(page_class::b64, frame);
  }
  static_cast<void>(pages->trim());
  for (const frame_id frame : kept) {
    const std::byte* const page = pages->address(page_class::b64, frame);
    ASSERT_EQ(page[0], std::byte{7});
    ASSERT_EQ(page[63], std::byte{7});
  }
}

TEST(PageAllocator, TrimGivesBackFramesThatFillNoMagazine) {
  const auto pages = make();
  const auto frames = allocate_all(*pages, page_class::b4k, 10);
  for (const frame_id frame : frames) std::memset(pages->address(page_class::b4k, frame), 7, 4096);
  for (std::size_t i = 1; i < 10; ++i) pages->deallocate(page_class::b4k, frames[i]);
  EXPECT_GE(pages->trim(), 9u * 4096);
  EXPECT_EQ(pages->address(page_class::b4k, frames[0])[0], std::byte{7});
  for (std::size_t i = 1; i < 10; ++i) {
    EXPECT_TRUE(is_zero(pages->address(page_class::b4k, frames[i]), 4096));
  }
}

TEST(PageAllocator, TrimGivesBackFramesNeverHandedOutAndKeepsThemUsable) {
  const auto pages = make({.reserve_per_class = virtual_arena::step_size});
  auto frames = allocate_all(*pages, page_class::b4k, 100);
  for (const frame_id frame : frames) *pages->address(page_class::b4k, frame) = std::byte{1};
  static_cast<void>(pages->trim());
  const auto rest = allocate_all(*pages, page_class::b4k, 1000);
  frames.insert(frames.end(), rest.begin(), rest.end());
  EXPECT_EQ(distinct(frames).size(), 512u);
}

TEST(PageAllocator, MetadataIsWellBelowEightBytesForEachPage) {
  if (counts_shadow_memory) GTEST_SKIP() << "resident size counts the sanitizer's shadow memory";
  constexpr std::size_t count = std::size_t{1} << 18;
  std::vector<frame_id> frames(count, no_frame);
  const std::size_t before = resident_bytes();
  const auto pages = make();
  for (frame_id& frame : frames) {
    frame = pages->allocate(page_class::b1k);
    *pages->address(page_class::b1k, frame) = std::byte{1};
  }
  constexpr std::size_t slack = std::size_t{1} << 20;
  EXPECT_LT(resident_bytes() - before, count * 1024 + slack);
  free_all(*pages, page_class::b1k, frames);
  EXPECT_LT(resident_bytes() - before, count * (1024 + 5) + slack);
}

TEST(PageAllocator, SixtyFourLiveAtOnceAndTheNextIsRefused) {
  std::vector<std::unique_ptr<page_allocator>> all;
  for (std::uint32_t i = 0; i < page_allocator::allocators_max; ++i) {
    all.push_back(make({.bytes_max = std::size_t{1} << 20}));
    ASSERT_NE(all.back()->allocate(page_class::b64), no_frame);
  }
  EXPECT_EQ(page_allocator::create({}).error().code(), status_code::too_many);
  all.erase(all.begin() + 10);
  EXPECT_TRUE(page_allocator::create({}).has_value());
}

TEST(PageAllocator, ASuccessorInTheSameSlotDoesNotSeeThePredecessorsMagazines) {
  for (int round = 0; round < 100; ++round) {
    const auto pages = make({.bytes_max = std::size_t{1} << 20});
    EXPECT_EQ(pages->stats().total.frames_cached, 0u);
    const auto frames = allocate_all(*pages, page_class::b4k, 200);
    EXPECT_EQ(distinct(frames).size(), 200u);
    EXPECT_LT(*distinct(frames).rbegin(), 256u);
    free_all(*pages, page_class::b4k, frames);
  }
}

#if defined(SHEAF_PARANOID_ASSERTS) && SHEAF_PARANOID_ASSERTS
TEST(PageAllocatorDeathTest, FreeingAFrameTwiceAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto pages = make();
  const frame_id frame = pages->allocate(page_class::b128);
  pages->deallocate(page_class::b128, frame);
  EXPECT_DEATH(pages->deallocate(page_class::b128, frame), "freed-frame-was-in-use");
}
#endif

}  // namespace
}  // namespace sheaf
