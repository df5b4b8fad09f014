// Records into the pages of a device: every way in, every form, and what happens when the ring is
// full or the device does not answer. Compared byte by byte with plain copies on the host.
#include <chrono>
#include <memory>

#include "cuda/page/bulk_load.hpp"
#include "cuda/page/record_stream.hpp"
#include "page/gpu_rig.hpp"

namespace {

using namespace page_test;

struct stream_holder {
  stream_holder() { PAGE_MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
  ~stream_holder() { cudaStreamDestroy(stream); }
  cudaStream_t stream = nullptr;
};

std::unique_ptr<record_stream> open_ring(std::size_t bytes, double deadline_seconds) {
  record_stream* made = nullptr;
  device_error why;
  const device_code code = record_stream::open({bytes, deadline_seconds}, &made, &why);
  PAGE_CHECK(code == device_code::ok, "%s", why.text);
  if (made == nullptr) std::_Exit(1);
  return std::unique_ptr<record_stream>(made);
}

// `write` takes records of all lengths: in arguments, read in place, by DMA, in several parts.
void writes_leave_the_bits_of_a_copy(random_numbers& random) {
  const stream_holder stream;
  const auto ring = open_ring(std::size_t{1} << 19, 10);
  for (int round = 0; round < 60; ++round) {
    const std::uint32_t slots = round % 3 == 0 ? 1 + random() % 30 : 1 + random() % 3000;
    device_rig rig(random, slots);
    device_mirror mirror(rig);
    for (int turn = 0; turn < 3; ++turn) {
      const bool notes_equal = random() % 2 == 0;
      random_record record(random, rig, random() % 3, false);
      record.apply_to(rig, notes_equal);
      const std::vector<line_record> pages = record.line_records();
      device_error why;
      const device_code code = ring->write(record.as_device_record(pages), mirror.slots(),
                                           mirror.scatter(notes_equal), stream.stream, &why);
      PAGE_CHECK(code == device_code::ok, "round %d: %s", round, why.text);
    }
    PAGE_CHECK(mirror.is_as_expected(), "round %d, %u slots", round, slots);
  }
}

// Parts with byte masks, by page and by line, small and large.
void masked_parts_merge_their_bytes_alone(random_numbers& random) {
  const stream_holder stream;
  const auto ring = open_ring(std::size_t{1} << 22, 10);
  for (int round = 0; round < 60; ++round) {
    device_rig rig(random, 1 + random() % (round % 2 == 0 ? 20 : 300));
    device_mirror mirror(rig);
    const bool notes_equal = random() % 2 == 0;
    random_record record(random, rig, random() % 3, true);
    record.apply_to(rig, notes_equal);
    const std::vector<std::byte> part = record.encode(1);
    device_error why;
    device_code code = device_code::ok;
    if (part.size() <= small_part_bytes && record.line_total() != 0) {
      small_part small;
      std::memcpy(small.bytes, part.data(), part.size());
      PAGE_MUST(scatter_small(small, mirror.scatter(notes_equal), stream.stream));
    } else {
      record_stream::place place;
      code = ring->begin(part.size(), true, &place, &why);
      if (code == device_code::ok) {
        std::memcpy(place.bytes, part.data(), part.size());
        code = ring->submit(place, part.size(), mirror.scatter(notes_equal), stream.stream, &why);
      }
    }
    PAGE_CHECK(code == device_code::ok, "round %d: %s", round, why.text);
    PAGE_CHECK(mirror.is_as_expected(), "round %d, %zu lines", round, record.line_total());
  }
}

void a_bad_record_changes_nothing(random_numbers& random) {
  const stream_holder stream;
  const auto ring = open_ring(std::size_t{1} << 20, 10);
  device_rig rig(random, 100);
  device_mirror mirror(rig);
  random_record record(random, rig, 1, false);
  std::vector<line_record> pages = record.line_records();
  pages.back().slot = 100;
  device_error why;
  const device_code code = ring->write(record.as_device_record(pages), mirror.slots(),
                                       mirror.scatter(true), stream.stream, &why);
  PAGE_CHECK(code == device_code::invalid, "%s", why.text);
  PAGE_CHECK(mirror.is_as_expected(), "after a bad record");
}

void loads_whole_arrays(random_numbers& random) {
  const stream_holder stream;
  const auto ring = open_ring(std::size_t{1} << 20, 10);
  for (int round = 0; round < 28; ++round) {
    device_rig rig(random, 3000);
    const auto size = page_class(round % page_class_count);
    for (std::uint32_t i = 0; i < 3000; ++i) {
      rig.classes[i] = size;
      rig.frames[i] = 2999 - i;
    }
    rig.expected[static_cast<unsigned>(size)].assign(3000 * bytes_of(size), std::byte{0});
    device_mirror mirror(rig);
    const std::uint32_t first = random() % 1000;
    const std::size_t bytes = 1 + random() % (1900 * bytes_of(size));
    std::vector<std::byte> source(bytes);
    for (std::byte& each : source) each = std::byte(random());
    for (std::size_t at = 0; at < bytes; at += bytes_of(size)) {
      const auto slot = first + static_cast<std::uint32_t>(at / bytes_of(size));
      const std::size_t part = std::min(bytes - at, bytes_of(size));
      std::memcpy(rig.expected_page(slot), source.data() + at, part);
      rig.expected_changed[slot] =
          first_lines(static_cast<unsigned>((part + line_size - 1) / line_size));
    }
    const bool registers = round % 2 == 0;
    if (registers) PAGE_MUST(cudaHostRegister(source.data(), bytes, cudaHostRegisterDefault));
    device_error why;
    const bulk_source what{source.data(), bytes, first, size};
    const device_code code = bulk_load(*ring, what, {3000, 1 + random() % 4}, mirror.scatter(true),
                                       stream.stream, &why);
    PAGE_CHECK(code == device_code::ok, "round %d: %s", round, why.text);
    PAGE_CHECK(mirror.is_as_expected(), "round %d, %zu bytes", round, bytes);
    if (registers) PAGE_MUST(cudaHostUnregister(source.data()));
    const bulk_source outside{source.data(), bytes, 3000, size};
    PAGE_CHECK(bulk_load(*ring, outside, {3000}, mirror.scatter(true), stream.stream, &why) ==
                   device_code::invalid,
               "round %d", round);
  }
}

// Holds a stream until the host lets go, or for `nanoseconds`.
__global__ void hold(const volatile std::uint32_t* go, std::uint64_t nanoseconds) {
  std::uint64_t begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (*go == 0 && now - begin < nanoseconds);
}

void a_full_ring_is_told_and_goes_on(random_numbers& random) {
  const stream_holder stream;
  const auto ring = open_ring(std::size_t{1} << 16, 10);
  device_rig rig(random, 12);
  device_mirror mirror(rig);
  std::uint32_t* go = nullptr;
  PAGE_MUST(cudaHostAlloc(reinterpret_cast<void**>(&go), 64, cudaHostAllocPortable));
  *go = 0;
  hold<<<1, 1, 0, stream.stream>>>(go, 2'000'000'000);
  device_error why;
  int sent = 0;
  for (bool is_full = false; !is_full && sent < 100; ++sent) {
    random_record record(random, rig, 2, false);
    const std::vector<std::byte> part = record.encode(1);
    if (part.size() > ring->part_bytes_max()) continue;
    record_stream::place place;
    PAGE_CHECK(ring->begin(part.size(), false, &place, &why) == device_code::ok, "%s", why.text);
    is_full = place.bytes == nullptr;
    if (is_full) break;
    record.apply_to(rig, true);
    std::memcpy(place.bytes, part.data(), part.size());
    PAGE_CHECK(ring->submit(place, part.size(), mirror.scatter(true), stream.stream, &why) ==
                   device_code::ok,
               "%s", why.text);
  }
  PAGE_CHECK(sent < 100, "the ring never filled");
  *reinterpret_cast<volatile std::uint32_t*>(go) = 1;
  PAGE_CHECK(ring->drain(&why) == device_code::ok, "%s", why.text);
  PAGE_CHECK(mirror.is_as_expected(), "after the ring was full");
  cudaFreeHost(go);
}

void a_passed_deadline_is_for_good(random_numbers& random) {
  const stream_holder stream;
  auto ring = open_ring(std::size_t{1} << 16, 0.05);
  device_rig rig(random, 200);
  device_mirror mirror(rig);
  std::uint32_t* go = nullptr;
  PAGE_MUST(cudaHostAlloc(reinterpret_cast<void**>(&go), 64, cudaHostAllocPortable));
  *go = 0;
  hold<<<1, 1, 0, stream.stream>>>(go, 1'000'000'000);
  device_error why;
  device_code code = device_code::ok;
  for (int i = 0; i < 100 && code == device_code::ok; ++i) {
    random_record record(random, rig, 2, false);
    const std::vector<line_record> pages = record.line_records();
    code = ring->write(record.as_device_record(pages), mirror.slots(), mirror.scatter(true),
                       stream.stream, &why);
  }
  PAGE_CHECK(code == device_code::lost, "%s", why.text);
  const auto begin = std::chrono::steady_clock::now();
  PAGE_CHECK(ring->drain(&why) == device_code::lost, "%s", why.text);
  ring.reset();
  const auto took = std::chrono::steady_clock::now() - begin;
  PAGE_CHECK(took < std::chrono::milliseconds(50), "a lost ring was waited for");
  *reinterpret_cast<volatile std::uint32_t*>(go) = 1;
  PAGE_MUST(cudaStreamSynchronize(stream.stream));
}

}  // namespace

int main() {
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);  // a kernel is held while others are launched
  if (!has_device()) return 77;
  random_numbers random(seed_of("device_records"));
  writes_leave_the_bits_of_a_copy(random);
  masked_parts_merge_their_bytes_alone(random);
  a_bad_record_changes_nothing(random);
  loads_whole_arrays(random);
  a_full_ring_is_told_and_goes_on(random);
  a_passed_deadline_is_for_good(random);
  std::printf("%s\n", failures() == 0 ? "all right" : "wrong");
  return failures() == 0 ? 0 : 1;
}
