/// A device's frames as the host hands them out, over a layer below that gives address space alone:
/// an allocation with its free, beside a push and a pop of a vector of page numbers.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <vector>

#include "cuda/memory/frame_pool.hpp"
#include "support/paired.hpp"

namespace {

using namespace sheaf;

/// Says yes to everything; no byte of what it maps is ever touched.
physical_memory nowhere() {
  physical_memory made;
  made.reserve = [](void*, std::uint64_t, std::byte** base, device_error*) noexcept {
    *base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);
    return device_code::ok;
  };
  made.unreserve = [](void*, std::byte*, std::uint64_t) noexcept {};
  made.create = [](void*, std::uint64_t, std::uint64_t* handle, device_error*) noexcept {
    *handle = 1;
    return device_code::ok;
  };
  made.release = [](void*, std::uint64_t) noexcept {};
  made.map = [](void*, std::byte*, std::uint64_t, std::uint64_t, device_error*) noexcept {
    return device_code::ok;
  };
  made.unmap = [](void*, std::byte*, std::uint64_t) noexcept {};
  made.allow = [](void*, std::byte*, std::uint64_t, device_error*) noexcept {
    return device_code::ok;
  };
  return made;
}

constexpr std::uint32_t pages = 1u << 16;  ///< a measured call takes and gives back so many

/// `held` frames are taken, then given back, until it were `pages`; `ns_a_page` is one frame's way.
void allocate_and_free(benchmark::State& state) {
  const auto held = static_cast<std::uint32_t>(state.range(0));
  std::unique_ptr<device_arena> arena;
  device_error why;
  if (device_arena::create({}, nowhere(), &arena, &why) != device_code::ok) std::abort();
  epoch_word word;
  frame_pool pool(*arena, word);
  std::vector<std::uint32_t> plain(held), kept(held);
  std::iota(plain.begin(), plain.end(), 0u);
  sheaf_bench::run_pair(
      state,
      [&] {
        for (std::uint32_t turn = 0; turn < pages / held; ++turn) {
          for (std::uint32_t i = 0; i < held; ++i) {
            kept[i] = index_of(pool.allocate(page_class::b4k, &why));
          }
          benchmark::ClobberMemory();
          for (std::uint32_t i = 0; i < held; ++i) {
            pool.deallocate(page_class::b4k, frame_id{kept[i]});
          }
        }
      },
      [&] {
        for (std::uint32_t turn = 0; turn < pages / held; ++turn) {
          for (std::uint32_t i = 0; i < held; ++i) {
            kept[i] = plain.back();
            plain.pop_back();
          }
          benchmark::ClobberMemory();
          for (std::uint32_t i = 0; i < held; ++i) plain.push_back(kept[i]);
        }
      });
  if (!pool.is_consistent()) state.SkipWithError("a frame is free twice");
  state.counters["ns_a_page"] = state.counters["ours_us"].value * 1e3 / pages;
  state.counters["floor_ns_a_page"] = state.counters["floor_us"].value * 1e3 / pages;
}
BENCHMARK(allocate_and_free)->Arg(1)->Arg(64)->Arg(1 << 16)->UseManualTime();

}  // namespace
