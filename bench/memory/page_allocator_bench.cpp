/// \file
/// Allocating and freeing 4 KiB pages: `page_allocator` beside its floor (a bare array of free ids,
/// one thread, no shared part) and its peer (the C library's `malloc`), in one run.
///
/// Every page is written once after it is allocated, so that an allocator which hands out cold
/// memory pays for it here. All memory is touched before the clock starts. The times are for one
/// allocation with one free (`page` where a run is a batch); `page_bytes` of the resident benchmark
/// is what one page costs.
///
/// The peer's producer-consumer run depends on how the C library trims and locks its arenas, so it
/// varies by a factor between runs.

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <sheaf/memory/page_allocator.hpp>

#include "support/resident.hpp"

namespace {

using sheaf::frame_id;
using sheaf::page_class;
using sheaf_bench::resident_bytes;

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t random_pages = (std::size_t{64} << 20) / page_bytes;

/// The floor: a stack of free ids over memory that is there already.
class bare_stack {
 public:
  bare_stack() : memory_(new std::byte[page_count * page_bytes]()), free_(page_count) {
    for (std::uint32_t i = 0; i < page_count; ++i) free_[i] = page_count - 1 - i;
  }
  void* allocate() { return memory_.get() + std::size_t{free_[--count_]} * page_bytes; }
  void deallocate(void* page) {
    const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(page) - memory_.get());
    free_[count_++] = static_cast<std::uint32_t>(offset / page_bytes);
  }

 private:
  static constexpr std::uint32_t page_count = 2 * random_pages;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::uint32_t> free_;
  std::uint32_t count_ = page_count;
};

class c_library {
 public:
  void* allocate() { return std::malloc(page_bytes); }
  void deallocate(void* page) { std::free(page); }
};

class sheaf_pages {
 public:
  sheaf_pages() {
    auto created = sheaf::page_allocator::create({});
    if (!created) std::abort();
    pages_ = std::move(*created);
  }
  void* allocate() { return pages_->address(page_class::b4k, pages_->allocate(page_class::b4k)); }
  void deallocate(void* page) {
    const auto offset =
        static_cast<std::size_t>(static_cast<std::byte*>(page) - pages_->base(page_class::b4k));
    pages_->deallocate(page_class::b4k, frame_id(offset / page_bytes));
  }

 private:
  std::unique_ptr<sheaf::page_allocator> pages_;
};

void touch(void* page) { *static_cast<volatile char*>(page) = 1; }

template <class Allocator>
void hot_pair(benchmark::State& state) {
  Allocator pages;
  for (auto _ : state) {
    void* const page = pages.allocate();
    touch(page);
    pages.deallocate(page);
  }
  state.SetItemsProcessed(state.iterations());
}

template <class Allocator>
void random_64_mib(benchmark::State& state) {
  Allocator pages;
  std::vector<void*> held(random_pages);
  for (void*& page : held) touch(page = pages.allocate());
  std::minstd_rand random(5);
  std::vector<std::uint32_t> order(std::size_t{1} << 20);
  for (std::uint32_t& place : order) place = static_cast<std::uint32_t>(random() % random_pages);
  std::size_t next = 0;
  for (auto _ : state) {
    void*& page = held[order[next++ & (order.size() - 1)]];
    pages.deallocate(page);
    touch(page = pages.allocate());
  }
  for (void* const page : held) pages.deallocate(page);
  state.SetItemsProcessed(state.iterations());
}

/// The calling thread allocates and hands over, another frees. The queue is a ring of 4096 slots
/// that both sides would need with any allocator; `queue_alone` says what it costs by itself.
template <class Allocator>
void producer_consumer(benchmark::State& state) {
  constexpr std::size_t slots = 4096;
  constexpr std::size_t batch = std::size_t{1} << 20;
  Allocator pages;
  std::vector<std::atomic<void*>> ring(slots);
  for (auto _ : state) {
    std::thread consumer([&] {
      for (std::size_t i = 0; i < batch; ++i) {
        std::atomic<void*>& slot = ring[i % slots];
        void* page;
        while ((page = slot.load(std::memory_order_acquire)) == nullptr) std::this_thread::yield();
        slot.store(nullptr, std::memory_order_release);
        pages.deallocate(page);
      }
    });
    for (std::size_t i = 0; i < batch; ++i) {
      void* const page = pages.allocate();
      touch(page);
      std::atomic<void*>& slot = ring[i % slots];
      while (slot.load(std::memory_order_acquire) != nullptr) std::this_thread::yield();
      slot.store(page, std::memory_order_release);
    }
    consumer.join();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
  state.counters["page"] =
      benchmark::Counter(static_cast<double>(batch), benchmark::Counter::kIsIterationInvariantRate |
                                                         benchmark::Counter::kInvert);
}

/// Hands one page over again and again: the queue without an allocator.
class queue_alone {
 public:
  void* allocate() { return page_; }
  void deallocate(void*) {}

 private:
  alignas(64) char page_[64] = {};
};

/// One million 1 KiB pages, written, then all freed so that the depot is full as well: what each
/// costs in resident memory at most.
void million_1_kib_resident(benchmark::State& state) {
  constexpr std::size_t count = 1'000'000;
  std::vector<frame_id> frames(count);
  std::size_t in_use = 0, freed = 0;
  for (auto _ : state) {
    const std::size_t before = resident_bytes();
    auto pages = sheaf::page_allocator::create({});
    if (!pages) std::abort();
    for (frame_id& frame : frames) {
      frame = (*pages)->allocate(page_class::b1k);
      touch((*pages)->address(page_class::b1k, frame));
    }
    in_use = resident_bytes() - before;
    for (const frame_id frame : frames) (*pages)->deallocate(page_class::b1k, frame);
    freed = resident_bytes() - before;
  }
  state.counters["page_bytes"] = static_cast<double>(in_use) / count;
  state.counters["page_bytes_all_freed"] = static_cast<double>(freed) / count;
}

BENCHMARK(hot_pair<bare_stack>);
BENCHMARK(hot_pair<sheaf_pages>);
BENCHMARK(hot_pair<c_library>);
BENCHMARK(random_64_mib<bare_stack>);
BENCHMARK(random_64_mib<sheaf_pages>);
BENCHMARK(random_64_mib<c_library>);
BENCHMARK(producer_consumer<queue_alone>)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(producer_consumer<sheaf_pages>)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(producer_consumer<c_library>)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(million_1_kib_resident)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
