/// \file
/// Loading large arrays: the threads that fill the ring, and the kernel that spreads a chunk.
#include "cuda/page/bulk_load.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "cuda/page/scatter_kernel.cuh"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned threads_max = 16;

// Lines of a chunk, in the array and in memory.
struct chunk_lines {
  const std::byte* from;
  std::uint64_t first;  // line of the array
  std::uint64_t count;
};

// A warp a tile of 64 lines, as the scatter kernels; places need no look-up but the frame.
__global__ void __launch_bounds__(scatter_block_threads)
    spread_chunk(const chunk_lines chunk, std::uint32_t first_slot, page_class size,
                 const __grid_constant__ device_scatter target) {
  constexpr unsigned step_lines = warp_lanes / line_quarters;
  constexpr unsigned steps = tile_lines / step_lines;
  const unsigned lane = threadIdx.x % warp_lanes;
  const unsigned q = lane % line_quarters;
  const auto page_shift = static_cast<unsigned>(size);
  const std::uint64_t tile =
      blockIdx.x * std::uint64_t{scatter_block_tiles} + threadIdx.x / warp_lanes;
  quarter values[steps];
#pragma unroll
  for (unsigned s = 0; s < steps; ++s) {
    const std::uint64_t k = (tile << tile_shift) + s * step_lines + lane / line_quarters;
    if (k < chunk.count) {
      values[s] = load_once<part_source::memory>(
          reinterpret_cast<const quarter*>(chunk.from) + k * line_quarters + q);
    }
  }
#pragma unroll
  for (unsigned s = 0; s < steps; ++s) {
    const std::uint64_t k = (tile << tile_shift) + s * step_lines + lane / line_quarters;
    if (k >= chunk.count) continue;
    const std::uint64_t line = chunk.first + k;
    const auto slot = first_slot + static_cast<std::uint32_t>(line >> page_shift);
    const auto within = static_cast<unsigned>(line & (lines_of(size) - 1));
    auto* page = reinterpret_cast<quarter*>(target.pages.page(slot, size));
    page[within * line_quarters + q] = values[s];
    // Once a page and chunk: by its first line here.
    if (q == 0 && (within == 0 || k == 0)) {
      const std::uint64_t left = chunk.count - k;
      const unsigned end =
          left < lines_of(size) - within ? within + static_cast<unsigned>(left) : lines_of(size);
      note(target.changed, slot, lines_between(within, end));
    }
  }
}

bool is_registered(const std::byte* memory, std::uint64_t bytes) {
  for (const std::byte* at : {memory, memory + bytes - 1}) {
    cudaPointerAttributes attributes{};
    if (cudaPointerGetAttributes(&attributes, at) != cudaSuccess) {
      cudaGetLastError();
      return false;
    }
    if (attributes.type != cudaMemoryTypeHost) return false;
  }
  return true;
}

// Chunks that threads fill while one thread sends them in order.
//
// Invariant: chunk c is filled by one thread, after `hand_out(c)`; `filled[c]` is set behind it.
class chunk_fillers {
 public:
  chunk_fillers(const bulk_source& source, std::size_t chunk_bytes, std::uint64_t chunks)
      : source_(source), chunk_bytes_(chunk_bytes), places_(chunks), filled_(chunks) {}
  chunk_fillers(const chunk_fillers&) = delete;
  chunk_fillers& operator=(const chunk_fillers&) = delete;
  ~chunk_fillers() {
    is_over_.store(true, std::memory_order_release);
    given_.fetch_add(1, std::memory_order_release);
    given_.notify_all();
    for (std::thread& each : threads_) each.join();
  }

  // Fewer than asked for where the system has no more; false where it has none.
  bool start(unsigned threads) {
    threads_.reserve(threads);
    try {
      while (threads_.size() < threads) threads_.emplace_back([this] { fill(); });
    } catch (const std::system_error&) {
    }
    return !threads_.empty();
  }
  void hand_out(std::uint64_t chunk, std::byte* place) {
    places_[chunk] = place;
    given_.store(chunk + 1, std::memory_order_release);
    given_.notify_all();
  }
  void wait_filled(std::uint64_t chunk) const {
    while (!filled_[chunk].load(std::memory_order_acquire)) std::this_thread::yield();
  }

 private:
  void fill() {
    for (;;) {
      const std::uint64_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= places_.size()) return;
      for (std::uint64_t given = given_.load(std::memory_order_acquire); given <= chunk;
           given = given_.load(std::memory_order_acquire)) {
        if (is_over_.load(std::memory_order_acquire)) return;
        given_.wait(given, std::memory_order_acquire);
      }
      if (is_over_.load(std::memory_order_acquire)) return;
      const std::uint64_t begin = chunk * chunk_bytes_;
      const std::uint64_t bytes = std::min<std::uint64_t>(chunk_bytes_, source_.bytes - begin);
      std::memcpy(places_[chunk], source_.memory + begin, bytes);
      const std::uint64_t odd = bytes % line_size;
      if (odd != 0) std::memset(places_[chunk] + bytes, 0, line_size - odd);
      filled_[chunk].store(true, std::memory_order_release);
    }
  }

  const bulk_source source_;
  const std::size_t chunk_bytes_;
  std::vector<std::byte*> places_;
  std::vector<std::atomic<bool>> filled_;
  std::vector<std::thread> threads_;
  std::atomic<std::uint64_t> given_{0}, next_{0};
  std::atomic<bool> is_over_{false};
};

// One load: chunks begun in order, sent in order.
class load_run {
 public:
  load_run(record_stream& ring, const bulk_source& source, const device_scatter& target,
           cudaStream_t stream, device_error* why)
      : ring_(ring), source_(source), target_(target), stream_(stream), why_(why) {
    chunk_bytes_ = ring.part_bytes_max() / 8 / line_size * line_size;
    chunks_ = (source.bytes + chunk_bytes_ - 1) / chunk_bytes_;
  }

  device_code run_registered() {
    const std::uint64_t whole = source_.bytes / line_size * line_size;
    for (std::uint64_t begin = 0; begin < whole; begin += chunk_bytes_) {
      const auto bytes = static_cast<std::size_t>(
          std::min<std::uint64_t>(chunk_bytes_, whole - begin));
      record_stream::place place;
      if (device_code code = ring_.begin(bytes, true, &place, why_); code != device_code::ok) {
        return code;
      }
      if (device_code code = send(place, source_.memory + begin, begin, bytes);
          code != device_code::ok) {
        return code;
      }
    }
    if (whole != source_.bytes) {
      record_stream::place place;
      if (device_code code = ring_.begin(line_size, true, &place, why_); code != device_code::ok) {
        return code;
      }
      std::memset(place.bytes, 0, line_size);
      std::memcpy(place.bytes, source_.memory + whole, source_.bytes - whole);
      if (device_code code = send(place, place.bytes, whole, line_size); code != device_code::ok) {
        return code;
      }
    }
    // The device reads the caller's memory until then.
    return ring_.drain(why_);
  }

  device_code run_copied(unsigned threads) {
    chunk_fillers fillers(source_, chunk_bytes_, chunks_);
    if (!fillers.start(threads)) {
      return refuse(why_, device_code::out_of_memory, "no thread to load with");
    }
    std::vector<record_stream::place> places(chunks_);
    std::uint64_t begun = 0;
    for (std::uint64_t sent = 0; sent < chunks_; ++sent) {
      while (begun < chunks_) {
        // Waits only where nothing is left to send meanwhile.
        if (device_code code = ring_.begin(bytes_of_chunk(begun), begun == sent, &places[begun],
                                           why_);
            code != device_code::ok) {
          return code;
        }
        if (places[begun].bytes == nullptr) break;
        fillers.hand_out(begun, places[begun].bytes);
        ++begun;
      }
      fillers.wait_filled(sent);
      if (device_code code =
              send(places[sent], places[sent].bytes, sent * chunk_bytes_, bytes_of_chunk(sent));
          code != device_code::ok) {
        return code;
      }
    }
    return device_code::ok;
  }

 private:
  [[nodiscard]] std::size_t bytes_of_chunk(std::uint64_t chunk) const {
    const std::uint64_t left = source_.bytes - chunk * chunk_bytes_;
    const std::uint64_t bytes = std::min<std::uint64_t>(chunk_bytes_, left);
    return static_cast<std::size_t>((bytes + line_size - 1) / line_size * line_size);
  }
  device_code send(const record_stream::place& place, const std::byte* from, std::uint64_t begin,
                   std::size_t bytes) {
    std::byte* on_device = nullptr;
    if (device_code code = ring_.transfer_from(place, from, bytes, stream_, &on_device, why_);
        code != device_code::ok) {
      return code;
    }
    const chunk_lines chunk{on_device, begin / line_size, bytes / line_size};
    const auto blocks = static_cast<unsigned>(
        (tile_count(chunk.count) + scatter_block_tiles - 1) / scatter_block_tiles);
    spread_chunk<<<blocks, scatter_block_threads, 0, stream_>>>(chunk, source_.first_slot,
                                                                source_.size, target_);
    if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) {
      return ring_.lose(error, "spreading a chunk", why_);
    }
    return ring_.finish(stream_, why_);
  }

  record_stream& ring_;
  const bulk_source source_;
  const device_scatter target_;
  cudaStream_t stream_;
  device_error* why_;
  std::size_t chunk_bytes_;
  std::uint64_t chunks_;
};

unsigned threads_for(unsigned asked) {
  if (asked != 0) return std::min(asked, threads_max);
  return std::clamp(std::thread::hardware_concurrency(), 1u, threads_max);
}

}  // namespace

device_code bulk_load(record_stream& ring, const bulk_source& source, const bulk_settings& settings,
                      const device_scatter& target, cudaStream_t stream,
                      device_error* why) noexcept {
  const std::uint64_t pages =
      (source.bytes + bytes_of(source.size) - 1) >> byte_shift(source.size);
  if (source.first_slot + pages > settings.slot_count) {
    return refuse(why, device_code::invalid, "slots %u to %llu of %u", source.first_slot,
                  static_cast<unsigned long long>(source.first_slot + pages),
                  settings.slot_count);
  }
  if (source.bytes == 0) return device_code::ok;
  try {
    load_run run(ring, source, target, stream, why);
    if (is_registered(source.memory, source.bytes)) return run.run_registered();
    return run.run_copied(threads_for(settings.threads));
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no memory to load with");
  }
}

void copy_by_threads(std::byte* to, std::size_t ring_bytes, const std::byte* from,
                     std::uint64_t bytes, std::size_t chunk_bytes, unsigned threads) {
  std::atomic<std::uint64_t> next{0};
  const std::uint64_t room = ring_bytes / chunk_bytes;
  const auto work = [&] {
    for (std::uint64_t c = next++; c * chunk_bytes < bytes; c = next++) {
      const std::uint64_t begin = c * chunk_bytes;
      std::memcpy(to + c % room * chunk_bytes, from + begin,
                  std::min<std::uint64_t>(chunk_bytes, bytes - begin));
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads_for(threads); ++i) others.emplace_back(work);
  work();
  for (std::thread& each : others) each.join();
}

}  // namespace sheaf::inline v0
