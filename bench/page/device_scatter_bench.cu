// Deltas into 4 GiB of pages: on the device already, or in the pinned ring.
//
// Beside each: a kernel that does the least (an address a delta, no page table, nothing noted) and,
// for what comes over the link, one copy of as many bytes, in alternating slices of one run.
// Content is random, every line is checked afterwards.
#include <memory>

#include "cuda/page/record_cutter.hpp"
#include "cuda/page/record_stream.hpp"
#include "cuda/page/scatter_kernel.cuh"
#include "page/gpu_bench.hpp"

namespace {

using namespace page_bench;

constexpr std::uint32_t delta_count = 10'000'000;
constexpr std::uint64_t payload_salt = 0x51ed'270b'9f8a'3c11u;
constexpr std::uint64_t mask_salt = 0x2545'f491'4f6c'dd1du;

// Which line delta i writes: all different, shuffled or rising.
SHEAF_HD std::uint32_t line_of(std::uint32_t i, bool is_sorted) {
  return is_sorted ? static_cast<std::uint32_t>((std::uint64_t{i} << line_bits) / delta_count)
                   : shuffled(i, line_bits);
}

__global__ void make_deltas(packed_line* places, std::uint64_t* addresses, std::uint64_t* payload,
                            std::uint64_t* masks, const device_pages pages, bool is_sorted) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= delta_count) return;
  const std::uint32_t line = line_of(i, is_sorted);
  places[i] = {line >> 6, line & 63, static_cast<std::uint32_t>(page_class::b4k), 0};
  addresses[i] = reinterpret_cast<std::uint64_t>(pages.page(line >> 6, page_class::b4k)) +
                 (line & 63) * line_size;
  masks[i] = content(i, mask_salt);
  for (unsigned w = 0; w < 8; ++w) payload[i * 8ull + w] = content(i * 8ull + w, payload_salt);
}

// The floor: a quarter of a line a thread, the address given.
template <bool HasMasks>
__global__ void __launch_bounds__(256)
    bare_scatter(const std::uint64_t* __restrict__ addresses, const uint4* __restrict__ payload,
                 const std::uint64_t* __restrict__ masks, std::uint32_t count) {
  const std::uint64_t k = blockIdx.x * std::uint64_t{256} + threadIdx.x;
  if (k >= std::uint64_t{count} * 4) return;
  auto* to = reinterpret_cast<uint4*>(addresses[k >> 2]) + (k & 3);
  uint4 value = payload[k];
  if constexpr (HasMasks) {
    const auto bytes = static_cast<std::uint32_t>(masks[k >> 2] >> ((k & 3) * 16));
    const auto wide = [](std::uint32_t four) {
      return ((four & 15) * 0x0020'4081u & 0x0101'0101u) * 255u;
    };
    const auto pick = [](std::uint32_t old, std::uint32_t now, std::uint32_t mask) {
      return old ^ ((old ^ now) & mask);
    };
    const uint4 old = *to;
    value.x = pick(old.x, value.x, wide(bytes));
    value.y = pick(old.y, value.y, wide(bytes >> 4));
    value.z = pick(old.z, value.z, wide(bytes >> 8));
    value.w = pick(old.w, value.w, wide(bytes >> 12));
  }
  *to = value;
}

// Every delta's line has its bytes; lines that differ from the fill are counted.
__global__ void check_deltas_of(const device_pages pages, bool has_masks, bool is_sorted,
                                std::uint32_t count, unsigned long long* wrong) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const std::uint32_t line = line_of(i, is_sorted);
  const auto* got = reinterpret_cast<const unsigned char*>(
                        pages.page(line >> 6, page_class::b4k)) + (line & 63) * line_size;
  bool is_wrong = false;
  for (unsigned b = 0; b < line_size; ++b) {
    const std::uint64_t given = content(i * 8ull + b / 8, payload_salt) >> (b % 8 * 8);
    const std::uint64_t old = content(line * 8ull + b / 8, 0) >> (b % 8 * 8);
    const bool is_taken = !has_masks || (content(i, mask_salt) >> b & 1) != 0;
    is_wrong |= got[b] != static_cast<unsigned char>(is_taken ? given : old);
  }
  if (is_wrong) atomicAdd(wrong, 1ull);
}
__global__ void count_changed(const device_pages pages, const line_mask* changed,
                              unsigned long long* counts) {
  const std::uint32_t line = blockIdx.x * blockDim.x + threadIdx.x;
  const auto* words = reinterpret_cast<const std::uint64_t*>(
                          pages.page(line >> 6, page_class::b4k)) + (line & 63) * 8;
  bool differs = false;
  for (unsigned w = 0; w < 8; ++w) differs |= words[w] != content(line * 8ull + w, 0);
  const bool is_noted = (changed[line >> 6] >> (line & 63) & 1) != 0;
  if (differs) atomicAdd(counts, 1ull);
  if (is_noted) atomicAdd(counts + 1, 1ull);
  if (differs && !is_noted) atomicAdd(counts + 2, 1ull);
}

void check(const bench_pages& pages, bool has_masks, bool is_sorted, std::uint32_t count,
           const char* what) {
  auto* counts = on_device<unsigned long long>(4);
  BENCH_MUST(cudaMemset(counts, 0, 32));
  check_deltas_of<<<(count + 255) / 256, 256>>>(pages.pages, has_masks, is_sorted, count,
                                                counts + 3);
  count_changed<<<lines_all / 256, 256>>>(pages.pages, pages.changed, counts);
  unsigned long long got[4];
  BENCH_MUST(cudaMemcpy(got, counts, 32, cudaMemcpyDeviceToHost));
  BENCH_MUST(cudaFree(counts));
  // A delta may happen to equal what was there, with one chance in many.
  must_be(got[3] == 0 && got[0] <= count && got[0] > count - 64 && got[1] == count && got[2] == 0,
          what);
}

struct deltas {
  packed_line* places = on_device<packed_line>(delta_count);
  std::uint64_t* addresses = on_device<std::uint64_t>(delta_count);
  std::uint64_t* payload = on_device<std::uint64_t>(delta_count * 8ull);
  std::uint64_t* masks = on_device<std::uint64_t>(delta_count);
  [[nodiscard]] part_view part(bool has_masks) const {
    part_view made{};
    made.page_count = made.line_count = delta_count;
    made.lines = reinterpret_cast<const std::byte*>(payload);
    made.masks = has_masks ? masks : nullptr;
    made.places = places;
    return made;
  }
};

template <bool HasMasks, unsigned Batch>
double time_batch(device_timer& timer, const deltas& given, const bench_pages& pages) {
  constexpr unsigned blocks =
      (delta_count / tile_lines + scatter_block_tiles) / scatter_block_tiles;
  return timer(nullptr, [&] {
    scatter_kernel<false, HasMasks, false, Batch><<<blocks, scatter_block_threads>>>(
        given.part(HasMasks), pages.scatter(true));
  });
}

void on_the_device(bench_pages& pages) {
  const deltas given;
  device_timer timer;
  for (const bool is_sorted : {false, true}) {
    make_deltas<<<(delta_count + 255) / 256, 256>>>(given.places, given.addresses, given.payload,
                                                    given.masks, pages.pages, is_sorted);
    for (const bool has_masks : {false, true}) {
      pages.reset(0);
      BENCH_MUST(scatter(given.part(has_masks), pages.scatter(true), nullptr));
      check(pages, has_masks, is_sorted, delta_count, "10^7 deltas on the device");
      const unsigned blocks = (delta_count * 4u + 255) / 256;
      const auto* payload = reinterpret_cast<const uint4*>(given.payload);
      const std::vector<double> us = in_turn(
          9,
          [&] {
            return timer(nullptr,
                         [&] { scatter(given.part(has_masks), pages.scatter(true), nullptr); });
          },
          [&] {
            return timer(nullptr, [&] {
              if (has_masks) {
                bare_scatter<true><<<blocks, 256>>>(given.addresses, payload, given.masks,
                                                    delta_count);
              } else {
                bare_scatter<false><<<blocks, 256>>>(given.addresses, payload, given.masks,
                                                     delta_count);
              }
            });
          },
          [&] {
            return timer(nullptr,
                         [&] { scatter(given.part(has_masks), pages.scatter(false), nullptr); });
          },
          [&] {
            return has_masks ? time_batch<true, 2>(timer, given, pages)
                             : time_batch<false, 2>(timer, given, pages);
          },
          [&] {
            return has_masks ? time_batch<true, 8>(timer, given, pages)
                             : time_batch<false, 4>(timer, given, pages);
          });
      char name[96];
      const auto show = [&](const char* what, double time) {
        std::snprintf(name, sizeof(name), "scatter_%s_%s_%s", is_sorted ? "sorted" : "random",
                      has_masks ? "masked" : "overwrite", what);
        figure(name, delta_count / time / 1e3, "Gdeltas/s", delta_count / us[1] / 1e3);
      };
      show("noted", us[0]);
      show("compared", us[2]);
      show("batch_2", us[3]);
      show(has_masks ? "batch_8" : "batch_4", us[4]);
    }
  }
}

// 10^6 random lines as a record of rising slots.
struct host_record {
  explicit host_record(std::uint32_t count) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> order;  // line, delta
    for (std::uint32_t i = 0; i < count; ++i) order.emplace_back(line_of(i, false), i);
    std::sort(order.begin(), order.end());
    for (const auto& [line, i] : order) {
      if (pages.empty() || pages.back().slot != line >> 6) pages.push_back({line >> 6, 0, 0});
      pages.back().lines |= line_mask{1} << (line & 63);
      for (unsigned w = 0; w < 8; ++w) payload.push_back(content(i * 8ull + w, payload_salt));
    }
  }
  [[nodiscard]] device_record record() const {
    return {pages.data(), reinterpret_cast<const std::byte*>(payload.data()),
            static_cast<std::uint32_t>(pages.size()),
            static_cast<std::uint32_t>(payload.size() / 8)};
  }
  std::vector<line_record> pages;
  std::vector<std::uint64_t> payload;
};

// A record of a few lines until it is applied, beside one copy of as many bytes.
void few_lines(const bench_pages& pages, record_stream& ring, const slot_classes& slots,
               cudaStream_t stream, const std::byte* plain, std::byte* twin) {
  device_error why;
  for (const std::uint32_t lines : {1u, 40u, 400u, 4000u}) {
    const host_record few(lines);
    const std::vector<double> latency = in_turn(
        101,
        [&] {
          return wall_us([&] {
            must_ok(ring.write(few.record(), slots, pages.scatter(true), stream, &why), why);
            BENCH_MUST(cudaStreamSynchronize(stream));
          });
        },
        [&] {
          return wall_us([&] {
            BENCH_MUST(cudaMemcpyAsync(twin, plain, lines * 64, cudaMemcpyHostToDevice, stream));
            BENCH_MUST(cudaStreamSynchronize(stream));
          });
        });
    char name[64];
    std::snprintf(name, sizeof(name), "write_%u_lines", lines);
    figure(name, latency[0], "us", latency[1]);
  }
}

void through_the_ring(bench_pages& pages) {
  constexpr std::uint32_t count = 1'000'000;
  const host_record given(count);
  const std::vector<page_class> classes(slots_all, page_class::b4k);
  const slot_classes slots{classes.data(), slots_all};
  record_stream* made = nullptr;
  device_error why;
  must_ok(record_stream::open({std::size_t{256} << 20, 10}, &made, &why), why);
  const std::unique_ptr<record_stream> ring(made);
  cudaStream_t stream;
  BENCH_MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  std::byte* plain = pinned<std::byte>(std::size_t{128} << 20);
  std::byte* twin = on_device<std::byte>(std::size_t{128} << 20);
  std::uint64_t bytes = 0;
  const auto send = [&](std::size_t part_max) {
    struct encoded {
      record_stream::place place;
      std::uint64_t bytes;
    };
    std::vector<encoded> parts;
    must_ok(ring->drain(&why), why);
    for (record_cutter cutter(given.record(), slots, part_max); !cutter.is_at_end();) {
      encoded part{};
      must_ok(ring->begin(cutter.next(), true, &part.place, &why), why);
      part.bytes = cutter.encode(part.place.bytes, part.place.number);
      parts.push_back(part);
    }
    bytes = 0;
    for (const encoded& each : parts) bytes += each.bytes;
    return wall_us([&] {
      for (const encoded& each : parts) {
        must_ok(ring->submit(each.place, each.bytes, pages.scatter(true), stream, &why), why);
      }
      must_ok(ring->drain(&why), why);
    });
  };
  pages.reset(0);
  send(std::size_t{4} << 20);
  check(pages, false, false, count, "10^6 deltas through the ring");
  const std::vector<double> us = in_turn(
      9, [&] { return send(std::size_t{2} << 20); }, [&] { return send(std::size_t{4} << 20); },
      [&] { return send(std::size_t{8} << 20); },
      [&] {
        return wall_us([&] {
          BENCH_MUST(cudaMemcpyAsync(twin, plain, bytes, cudaMemcpyHostToDevice, stream));
          BENCH_MUST(cudaStreamSynchronize(stream));
        });
      },
      [&] {
        return wall_us([&] {
          must_ok(ring->write(given.record(), slots, pages.scatter(true), stream, &why), why);
          must_ok(ring->drain(&why), why);
        });
      });
  const double link = bytes / us[3] / 1e3;
  figure("ring_1e6_deltas_parts_2MiB", bytes / us[0] / 1e3, "GB/s", link);
  figure("ring_1e6_deltas_parts_4MiB", bytes / us[1] / 1e3, "GB/s", link);
  figure("ring_1e6_deltas_parts_8MiB", bytes / us[2] / 1e3, "GB/s", link);
  figure("ring_1e6_deltas_payload_4MiB", count * 64.0 / us[1] / 1e3, "GB/s", link);
  figure("ring_1e6_deltas_written_by_one_thread", bytes / us[4] / 1e3, "GB/s", link);
  check(pages, false, false, count, "10^6 deltas through the ring, at the end");

  few_lines(pages, *ring, slots, stream, plain, twin);
  BENCH_MUST(cudaFreeHost(plain));
  BENCH_MUST(cudaFree(twin));
}

}  // namespace

int main() {
  if (!has_device()) return 77;
  bench_pages pages;
  on_the_device(pages);
  through_the_ring(pages);
  return 0;
}
