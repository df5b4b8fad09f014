/// \file
/// Building and applying deltas, each beside its floor: hand-written loops over one flat buffer,
/// and memcpy. Floor and ours alternate within each benchmark; `ratio` is the median of their
/// ratios, `floor` and `ours` are medians, in ns per change (scatter, set), per KiB (range) or per
/// line (lines). The time Google Benchmark prints is of ours alone.
///
/// Both sides work in 64 MiB that ask for huge pages and have been written before; indices and
/// values are random, values differ from round to round so that every store changes bits, and what
/// was written is compared at the end. 64 MiB is more than the second-level cache, so lines are
/// cold. The pages' frames lie in random order; `touch` marks the page and does no more.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <sheaf/page/delta_apply.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace sheaf;

constexpr std::size_t buffer_size = std::size_t{64} << 20;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::uint32_t page_count = buffer_size / 4096;
constexpr std::size_t scatter_count = 1'000'000;
constexpr array_id array{0};

const apply_table& table() {
  const result<isa> set = selected_isa();
  const apply_table* found = set ? apply_of(*set) : nullptr;
  if (found == nullptr) std::abort();
  return *found;
}

/// 64 MiB that start at a huge page.
class buffer {
 public:
  buffer() {
    mapped_ = mmap(nullptr, buffer_size + huge_page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) std::abort();
    const auto address = reinterpret_cast<std::uintptr_t>(mapped_);
    bytes_ = reinterpret_cast<std::byte*>((address + huge_page - 1) & ~(huge_page - 1));
    madvise(bytes_, buffer_size, MADV_HUGEPAGE);
    std::mt19937_64 random(3);
    for (std::size_t i = 0; i < buffer_size; i += 8) {
      const std::uint64_t word = random();
      std::memcpy(bytes_ + i, &word, 8);
    }
  }
  ~buffer() { munmap(mapped_, buffer_size + huge_page); }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;
  std::byte* bytes() const { return bytes_; }
  std::uint64_t* words() const { return reinterpret_cast<std::uint64_t*>(bytes_); }

 private:
  void* mapped_;
  std::byte* bytes_;
};

/// The same 64 MiB as 4 KiB pages of u64.
class paged_buffer {
 public:
  paged_buffer() : frames_(page_count), masks_(page_count), touched_(page_count / 64) {
    std::iota(frames_.begin(), frames_.end(), 0u);
    std::shuffle(frames_.begin(), frames_.end(), std::mt19937_64(5));
  }
  scatter_target target() {
    return {.frames = frames_.data(),
            .base = memory_.bytes(),
            .page_shift = 9,
            .frame_shift = 12,
            .masks = masks_.data(),
            .touched = touched_.data(),
            .context = this,
            .touch = [](void* self, std::uint32_t page) {
              static_cast<paged_buffer*>(self)->touched_[page >> 6] |= 1ull << (page & 63);
            }};
  }
  std::byte* page(std::uint32_t p) { return memory_.bytes() + std::size_t{frames_[p]} * 4096; }
  void begin_round() {
    std::fill(masks_.begin(), masks_.end(), 0);
    std::fill(touched_.begin(), touched_.end(), 0);
  }
  bool equals(const buffer& flat) {
    for (std::uint32_t p = 0; p < page_count; ++p) {
      if (std::memcmp(page(p), flat.bytes() + std::size_t{p} * 4096, 4096) != 0) return false;
    }
    return true;
  }
  void copy_from(const buffer& flat) {
    for (std::uint32_t p = 0; p < page_count; ++p) {
      std::memcpy(page(p), flat.bytes() + std::size_t{p} * 4096, 4096);
    }
  }

 private:
  buffer memory_;
  std::vector<std::uint32_t> frames_;
  std::vector<line_mask> masks_;
  std::vector<std::uint64_t> touched_;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

template <class Work>
double seconds(Work&& work) {
  const auto now = [] {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  const double begin = now();
  work();
  return now() - begin;
}

/// Alternates slices of `floor(round)` and `ours(round)`, `slice` rounds each; `units` is what one
/// round does.
template <class Floor, class Ours>
void compare(benchmark::State& state, double units, std::size_t slice, Floor&& floor, Ours&& ours) {
  std::vector<double> floors, times, ratios;
  std::size_t round = 0;
  for (auto _ : state) {
    const double by_floor = seconds([&] {
      for (std::size_t i = 0; i < slice; ++i) floor(round + i);
    });
    const double by_us = seconds([&] {
      for (std::size_t i = 0; i < slice; ++i) ours(round + i);
    });
    state.SetIterationTime(by_us);
    floors.push_back(by_floor);
    times.push_back(by_us);
    ratios.push_back(by_us / by_floor);
    round += slice;
  }
  state.counters["floor"] = median(floors) / (units * static_cast<double>(slice)) * 1e9;
  state.counters["ours"] = median(times) / (units * static_cast<double>(slice)) * 1e9;
  state.counters["ratio"] = median(ratios);
}

void require(bool holds, benchmark::State& state) {
  if (!holds) state.SkipWithError("floor and ours wrote different bytes");
}

struct scatter_input {
  std::vector<std::uint32_t> indices{std::vector<std::uint32_t>(scatter_count)};
  std::vector<std::uint64_t> values[2]{std::vector<std::uint64_t>(scatter_count),
                                       std::vector<std::uint64_t>(scatter_count)};
  scatter_input() {
    std::mt19937_64 random(7);
    for (auto& each : indices) each = static_cast<std::uint32_t>(random() % (buffer_size / 8));
    for (auto& set : values) {
      for (auto& each : set) each = random();
    }
  }
};

[[gnu::noinline]] void flat_scatter(std::uint64_t* words, const std::uint32_t* indices,
                                    const std::uint64_t* values, std::size_t count) {
  for (std::size_t k = 0; k < count; ++k) words[indices[k]] = values[k];
}

/// The body alone, 10^6 random u64 assigns.
void scatter_body(benchmark::State& state) {
  const scatter_input input;
  buffer flat;
  paged_buffer pages;
  pages.copy_from(flat);
  const auto body = table().scatter32[0][static_cast<unsigned>(dtype::u64)];
  compare(
      state, scatter_count, 1,
      [&](std::size_t round) {
        flat_scatter(flat.words(), input.indices.data(), input.values[round % 2].data(),
                     scatter_count);
      },
      [&](std::size_t round) {
        pages.begin_round();
        body(pages.target(), input.indices.data(), input.values[round % 2].data(), scatter_count);
      });
  require(pages.equals(flat), state);
}
BENCHMARK(scatter_body)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(2);

/// The whole way of a scatter through a reused delta: columns, greatest index, apply. With argument
/// 1 the columns are copied, else borrowed.
void scatter_delta(benchmark::State& state) {
  const scatter_input input;
  buffer flat;
  paged_buffer pages;
  pages.copy_from(flat);
  delta changes;
  const std::span<const std::uint32_t> indices(input.indices);
  compare(
      state, scatter_count, 1,
      [&](std::size_t round) {
        flat_scatter(flat.words(), input.indices.data(), input.values[round % 2].data(),
                     scatter_count);
      },
      [&](std::size_t round) {
        pages.begin_round();
        changes.clear();
        const void* values = input.values[round % 2].data();
        const status added =
            state.range(0) == 1
                ? changes.scatter(array, dtype::u64, merge_operator::assign, indices, values)
                : changes.scatter_borrowed(array, dtype::u64, merge_operator::assign, indices,
                                           values);
        if (!added.is_ok()) std::abort();
        for (const delta_piece& piece : changes.pieces()) {
          if (element_end(table(), piece) > buffer_size / 8) std::abort();
          apply(table(), pages.target(), piece);
        }
      });
  require(pages.equals(flat), state);
}
BENCHMARK(scatter_delta)
    ->ArgName("copied")
    ->Arg(0)
    ->Arg(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->MinTime(2);

/// `set`, one element a call, against two hand-filled vectors.
void set_series(benchmark::State& state) {
  const scatter_input input;
  std::vector<std::uint32_t> indices;
  std::vector<std::uint64_t> values;
  delta changes;
  constexpr std::size_t count = 10'000;
  compare(
      state, count, 1,
      [&](std::size_t) {
        indices.clear();
        values.clear();
        for (std::size_t k = 0; k < count; ++k) {
          indices.push_back(input.indices[k]);
          values.push_back(input.values[0][k]);
        }
        benchmark::DoNotOptimize(indices.data());
        benchmark::DoNotOptimize(values.data());
      },
      [&](std::size_t) {
        changes.clear();
        for (std::size_t k = 0; k < count; ++k) {
          const status added =
              changes.set(array, merge_operator::assign, input.indices[k], input.values[0][k]);
          if (!added.is_ok()) std::abort();
        }
        benchmark::DoNotOptimize(changes.pieces().data());
      });
}
BENCHMARK(set_series)->UseManualTime()->Unit(benchmark::kMicrosecond);

/// One range over the first `pages` pages, which differ everywhere, against memcpy. 16 pages stay
/// in the first- or second-level cache, all of them do not.
void range_assign(benchmark::State& state) {
  const auto pages_used = static_cast<std::size_t>(state.range(0));
  const std::size_t size = pages_used * 4096;
  const buffer sources[2];
  for (std::size_t i = 0; i < buffer_size / 8; ++i) sources[1].words()[i] = ~sources[0].words()[i];
  buffer flat;
  paged_buffer pages;
  pages.copy_from(flat);
  compare(
      state, static_cast<double>(size) / 1024, pages_used < 100 ? 33 : 1,
      [&](std::size_t round) {
        std::memcpy(flat.bytes(), sources[round % 2].bytes(), size);
        benchmark::DoNotOptimize(flat.bytes());
        benchmark::ClobberMemory();
      },
      [&](std::size_t round) {
        pages.begin_round();
        delta changes;
        if (!changes
                 .range_borrowed(array, dtype::u64, merge_operator::assign, 0,
                                 sources[round % 2].bytes(), size / 8)
                 .is_ok()) {
          std::abort();
        }
        apply(table(), pages.target(), changes.pieces()[0]);
      });
  require(pages.equals(flat), state);
}
BENCHMARK(range_assign)->ArgName("pages")->Arg(16)->Arg(page_count)->UseManualTime();

#if defined(__x86_64__)
/// The shortest loop there is for the job on a machine with AVX-512: masked stores, no comparison.
[[gnu::target("avx512f"), gnu::noinline]] void flat_lines_avx512(std::byte* page,
                                                                 std::uint64_t mask,
                                                                 const std::uint64_t* elements,
                                                                 const std::byte* payload) {
  for (; mask != 0; mask &= mask - 1, ++elements, payload += 64) {
    _mm512_mask_storeu_epi64(page + __builtin_ctzll(mask) * 64, static_cast<__mmask8>(*elements),
                             _mm512_loadu_si512(payload));
  }
}
#endif

[[gnu::noinline]] void flat_lines(std::byte* page, std::uint64_t mask,
                                  const std::uint64_t* elements, const std::byte* payload) {
  for (; mask != 0; mask &= mask - 1, ++elements, payload += 64) {
    std::byte* line = page + __builtin_ctzll(mask) * 64;
    for (unsigned i = 0; i < 8; ++i) {
      if ((*elements >> i & 1) != 0) std::memcpy(line + i * 8, payload + i * 8, 8);
    }
  }
}

/// Line deltas of 1, 8 or 64 lines for each of 64 pages, half of the elements masked out, warm.
void lines_assign(benchmark::State& state) {
  const auto line_count = static_cast<unsigned>(state.range(0));
  constexpr std::uint32_t used_pages = 64;
  buffer flat;
  paged_buffer pages;
  pages.copy_from(flat);
  std::mt19937_64 random(11);
  std::vector<line_mask> masks(used_pages, 0);
  std::vector<std::uint64_t> elements(used_pages * line_count);
  std::vector<std::uint64_t> payload[2];
  for (line_mask& mask : masks) {
    while (static_cast<unsigned>(std::popcount(mask)) < line_count) mask |= 1ull << random() % 64;
  }
  for (std::uint64_t& each : elements) each = random() & 0xff;
  for (auto& set : payload) {
    set.resize(elements.size() * 8);
    for (std::uint64_t& each : set) each = random();
  }
  auto by_hand = flat_lines;
#if defined(__x86_64__)
  if (is_available(isa::avx512)) by_hand = flat_lines_avx512;
#endif
  const auto body = table().lines[0][static_cast<unsigned>(dtype::u64)];
  compare(
      state, used_pages * line_count, 1 + 640 / line_count,
      [&](std::size_t round) {
        const auto* from = reinterpret_cast<const std::byte*>(payload[round % 2].data());
        for (std::uint32_t p = 0; p < used_pages; ++p) {
          by_hand(flat.bytes() + std::size_t{p} * 4096, masks[p], &elements[p * line_count],
                  from + std::size_t{p} * line_count * 64);
        }
      },
      [&](std::size_t round) {
        const auto* from = reinterpret_cast<const std::byte*>(payload[round % 2].data());
        for (std::uint32_t p = 0; p < used_pages; ++p) {
          benchmark::DoNotOptimize(body(pages.page(p), masks[p], &elements[p * line_count],
                                        from + std::size_t{p} * line_count * 64));
        }
      });
  require(pages.equals(flat), state);
}
BENCHMARK(lines_assign)->ArgName("lines")->Arg(1)->Arg(8)->Arg(64)->UseManualTime();

}  // namespace
