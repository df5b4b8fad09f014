// Large arrays into pages of a device, what changed out of them, and deltas of single elements.
//
// Beside the load: one copy of as many bytes from pinned memory (registered), threads that copy
// into the ring and send nothing (pageable). Beside the collection: one copy out. Beside elements:
// a kernel of atomic adds, whose order is anyone's guess. Every word is checked.
#include <cstring>
#include <memory>
#include <thread>

#include "cuda/page/bulk_load.hpp"
#include "cuda/page/collect.hpp"
#include "cuda/page/element_scatter.hpp"
#include "page/gpu_bench.hpp"

namespace {

using namespace page_bench;

constexpr std::uint64_t load_salt = 0x94d0'49bb'1331'11ebu;

__global__ void count_wrong_words(const device_pages pages, std::uint64_t salt,
                                  unsigned long long* wrong) {
  for (std::uint64_t i = blockIdx.x * std::uint64_t{blockDim.x} + threadIdx.x;
       i < std::uint64_t{lines_all} * 8; i += std::uint64_t{gridDim.x} * blockDim.x) {
    const auto* page = reinterpret_cast<const std::uint64_t*>(
        pages.page(static_cast<std::uint32_t>(i >> 9), page_class::b4k));
    if (page[i & 511] != content(i, salt)) atomicAdd(wrong, 1ull);
  }
}
void check_words(const bench_pages& pages, std::uint64_t salt, const char* what) {
  auto* wrong = on_device<unsigned long long>(1);
  BENCH_MUST(cudaMemset(wrong, 0, 8));
  count_wrong_words<<<4096, 256>>>(pages.pages, salt, wrong);
  unsigned long long got = 1;
  BENCH_MUST(cudaMemcpy(&got, wrong, 8, cudaMemcpyDeviceToHost));
  BENCH_MUST(cudaFree(wrong));
  must_be(got == 0, what);
}

void fill_words(std::uint64_t* words, std::uint64_t count, std::uint64_t salt) {
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> all;
  for (unsigned t = 0; t < threads; ++t) {
    all.emplace_back([=] {
      for (std::uint64_t i = count * t / threads; i < count * (t + 1) / threads; ++i) {
        words[i] = content(i, salt);
      }
    });
  }
  for (std::thread& each : all) each.join();
}

void cold_load(bench_pages& pages) {
  constexpr std::uint64_t bytes = std::uint64_t{lines_all} * line_size;
  constexpr std::size_t ring_bytes = std::size_t{256} << 20;
  auto* words = static_cast<std::uint64_t*>(std::aligned_alloc(4096, bytes));
  must_be(words != nullptr, "4 GiB of host memory");
  fill_words(words, bytes / 8, load_salt);
  const auto* from = reinterpret_cast<const std::byte*>(words);
  record_stream* made = nullptr;
  device_error why;
  must_ok(record_stream::open({ring_bytes, 10}, &made, &why), why);
  const std::unique_ptr<record_stream> ring(made);
  cudaStream_t stream;
  BENCH_MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const auto load = [&](unsigned threads) {
    return wall_us([&] {
      must_ok(bulk_load(*ring, {from, bytes, 0, page_class::b4k}, {slots_all, threads},
                        pages.scatter(true), stream, &why),
              why);
      must_ok(ring->drain(&why), why);
    });
  };
  pages.reset(0);
  load(0);
  check_words(pages, load_salt, "4 GiB of pageable memory");
  std::byte* peer_ring = pinned<std::byte>(ring_bytes);
  std::memset(peer_ring, 1, ring_bytes);
  const std::size_t chunk = ring->part_bytes_max() / 8;
  const auto copy = [&](unsigned threads) {
    return wall_us([&] { copy_by_threads(peer_ring, ring_bytes, from, bytes, chunk, threads); });
  };
  const std::vector<double> us = in_turn(
      3, [&] { return load(0); }, [&] { return copy(0); }, [&] { return load(8); },
      [&] { return copy(8); });
  figure("load_4GiB_pageable_all_threads", bytes / us[0] / 1e3, "GB/s", bytes / us[1] / 1e3);
  figure("load_4GiB_pageable_8_threads", bytes / us[2] / 1e3, "GB/s", bytes / us[3] / 1e3);

  BENCH_MUST(cudaHostRegister(words, bytes, cudaHostRegisterPortable));
  pages.reset(0);
  load(0);
  check_words(pages, load_salt, "4 GiB of registered memory");
  std::byte* flat = on_device<std::byte>(bytes);
  const std::vector<double> registered = in_turn(
      3, [&] { return load(0); },
      [&] {
        return wall_us([&] {
          BENCH_MUST(cudaMemcpyAsync(flat, from, bytes, cudaMemcpyHostToDevice, stream));
          BENCH_MUST(cudaStreamSynchronize(stream));
        });
      });
  figure("load_4GiB_registered", bytes / registered[0] / 1e3, "GB/s",
         bytes / registered[1] / 1e3);
  BENCH_MUST(cudaHostUnregister(words));
  BENCH_MUST(cudaFree(flat));
  BENCH_MUST(cudaFreeHost(peer_ring));
  std::free(words);
}

// Notes every `apart`-th slot, shuffled, with `mask`.
__global__ void note_slots(line_mask* changed, std::uint32_t count, line_mask mask) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) changed[shuffled(i, slot_bits)] = mask;
}

void check_record(const device_record& record, line_mask mask, std::uint32_t count) {
  must_be(record.page_count == count, "records of a collection");
  must_be(record.line_count == count * line_count(mask), "lines of a collection");
  const auto* words = reinterpret_cast<const std::uint64_t*>(record.lines);
  bool is_right = true;
  for (std::uint32_t i = 0; i < count; ++i) {
    is_right &= record.pages[i].lines == mask;
    for_each_line(mask, [&](unsigned line) {
      for (unsigned w = 0; w < 8; ++w) {
        is_right &= *words++ == content(record.pages[i].slot * 512ull + line * 8 + w, 0);
      }
    });
  }
  must_be(is_right, "words of a collection");
}

void collect_what_changed(bench_pages& pages) {
  pages.reset(0);
  constexpr std::size_t space = std::size_t{512} << 20;
  collector* made = nullptr;
  device_error why;
  must_ok(collector::open(space, 10, &made, &why), why);
  const std::unique_ptr<collector> collects(made);
  std::byte* plain = pinned<std::byte>(space);
  cudaStream_t stream;
  BENCH_MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  collect_request request{};
  request.pages = pages.pages;
  request.changed = pages.changed;
  request.count = slots_all;
  request.size = page_class::b4k;
  struct kind {
    const char* name;
    std::uint32_t pages;
    line_mask mask;
  };
  for (const kind& what : {kind{"whole_pages", 50000, ~line_mask{0}},
                           kind{"every_8th_line", 300000, 0x0101'0101'0101'0101u},
                           kind{"one_line", 1000000, 0x10}, kind{"one_page", 1, 1}}) {
    device_record record{};
    const auto run = [&] {
      note_slots<<<(what.pages + 255) / 256, 256, 0, stream>>>(pages.changed, what.pages,
                                                               what.mask);
      BENCH_MUST(cudaStreamSynchronize(stream));
      return wall_us([&] {
        collector::rest left{};
        must_ok(collects->start(request, stream, &why), why);
        must_ok(collects->finish(&record, &left, &why), why);
        must_be(left.pages == 0, "a collection that fits");
      });
    };
    const std::uint64_t bytes =
        what.pages * (sizeof(line_record) + line_count(what.mask) * std::uint64_t{line_size});
    run();
    check_record(record, what.mask, what.pages);
    const std::vector<double> us = in_turn(what.pages == 1 ? 101 : 7, run, [&] {
      return wall_us([&] {
        BENCH_MUST(cudaMemcpyAsync(plain, pages.bytes, bytes, cudaMemcpyDeviceToHost, stream));
        BENCH_MUST(cudaStreamSynchronize(stream));
      });
    });
    char name[64];
    std::snprintf(name, sizeof(name), "collect_%s", what.name);
    if (what.pages == 1) figure(name, us[0], "us", us[1]);
    else figure(name, bytes / us[0] / 1e3, "GB/s", bytes / us[1] / 1e3);
  }
  BENCH_MUST(cudaFreeHost(plain));
}

constexpr std::uint32_t element_count = 10'000'000;

__global__ void make_elements(std::uint32_t* indices, float* values, bool is_distinct) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= element_count) return;
  // Of 2^30 elements; where they repeat, each about ten times.
  const auto line = is_distinct ? shuffled(i, line_bits)
                                : shuffled(static_cast<std::uint32_t>(content(i, 3) % 1'000'000),
                                           line_bits);
  indices[i] = line * 16 + (is_distinct ? i & 15 : 0);
  values[i] = static_cast<float>(static_cast<std::int32_t>(content(i, 5) & 0xffff)) - 32768.0f;
}
__global__ void zero_pages(std::byte* bytes) {
  for (std::uint64_t i = blockIdx.x * std::uint64_t{blockDim.x} + threadIdx.x;
       i < std::uint64_t{lines_all} * 4; i += std::uint64_t{gridDim.x} * blockDim.x) {
    reinterpret_cast<uint4*>(bytes)[i] = uint4{0, 0, 0, 0};
  }
}
__global__ void add_atomically(const device_pages pages, const std::uint32_t* indices,
                               const float* values) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= element_count) return;
  auto* page = reinterpret_cast<float*>(pages.page(indices[i] >> 10, page_class::b4k));
  atomicAdd(page + (indices[i] & 1023), values[i]);
}

// Sums of small whole numbers are exact in any order: the host adds them in its own.
void check_sums(const bench_pages& pages, const std::vector<std::uint32_t>& indices,
                const std::vector<float>& values) {
  std::vector<std::uint32_t> frames(slots_all);
  BENCH_MUST(cudaMemcpy(frames.data(), pages.frames, slots_all * 4, cudaMemcpyDeviceToHost));
  std::vector<float> got(std::size_t{1} << 30), sums(std::size_t{1} << 30);
  BENCH_MUST(cudaMemcpy(got.data(), pages.bytes, got.size() * 4, cudaMemcpyDeviceToHost));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    sums[frames[indices[i] >> 10] * std::size_t{1024} + (indices[i] & 1023)] += values[i];
  }
  must_be(std::memcmp(got.data(), sums.data(), got.size() * 4) == 0, "sums of elements");
}

void elements(bench_pages& pages) {
  auto* indices = on_device<std::uint32_t>(element_count);
  auto* values = on_device<float>(element_count);
  auto* bad_index = on_device<std::uint64_t>(1);
  BENCH_MUST(cudaMemset(bad_index, 0xff, 8));
  const device_array array{0, page_class::b4k, dtype::f32, std::uint64_t{1} << 30};
  device_timer timer;
  for (const bool is_distinct : {true, false}) {
    const element_deltas given{indices, values,      element_count, merge_operator::add,
                               false,   is_distinct};
    const std::size_t scratch_bytes = element_scratch_bytes(given);
    std::byte* scratch = on_device<std::byte>(scratch_bytes + 1);
    make_elements<<<(element_count + 255) / 256, 256>>>(indices, values, is_distinct);
    const auto run = [&] {
      return timer(nullptr, [&] {
        BENCH_MUST(scatter_elements(array, given, pages.scatter(false), scratch, scratch_bytes,
                                    bad_index, nullptr));
      });
    };
    zero_pages<<<4096, 256>>>(pages.bytes);
    run();
    std::vector<std::uint32_t> host_indices(element_count);
    std::vector<float> host_values(element_count);
    BENCH_MUST(cudaMemcpy(host_indices.data(), indices, element_count * 4,
                          cudaMemcpyDeviceToHost));
    BENCH_MUST(cudaMemcpy(host_values.data(), values, element_count * 4, cudaMemcpyDeviceToHost));
    check_sums(pages, host_indices, host_values);
    const std::vector<double> us = in_turn(9, run, [&] {
      return timer(nullptr, [&] {
        add_atomically<<<(element_count + 255) / 256, 256>>>(pages.pages, indices, values);
      });
    });
    figure(is_distinct ? "elements_f32_add_distinct" : "elements_f32_add_repeated",
           element_count / us[0] / 1e3, "Gelements/s", element_count / us[1] / 1e3);
    BENCH_MUST(cudaFree(scratch));
  }
}

}  // namespace

int main() {
  if (!has_device()) return 77;
  bench_pages pages;
  collect_what_changed(pages);
  elements(pages);
  cold_load(pages);
  return 0;
}
