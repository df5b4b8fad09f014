/// \file
/// The ring's pinned memory, its copies and its waits.
#include "cuda/page/record_stream.hpp"

#include <chrono>
#include <new>
#include <thread>

#include <cuda/atomic>

#include "cuda/page/record_cutter.hpp"

namespace sheaf::inline v0 {

namespace {

using steady = std::chrono::steady_clock;

// Says to the host that all before it on its stream is done: release, so that reads of the ring are
// over before the host sees the number.
__global__ void post_number(std::uint64_t* done, std::uint64_t number) {
  cuda::atomic_ref<std::uint64_t, cuda::thread_scope_system>(*done).store(
      number, cuda::memory_order_release);
}

// The done word lies behind the ring's bytes, on a line of its own.
constexpr std::size_t done_bytes = line_size;

}  // namespace

device_code record_stream::open(const record_stream_settings& settings, record_stream** made,
                                device_error* why) noexcept {
  *made = nullptr;
  record_stream_settings used = settings;
  used.ring_bytes = used.ring_bytes / line_size * line_size;
  if (used.ring_bytes < ring_bytes_min) {
    return refuse(why, device_code::invalid, "a ring of %zu bytes, the least is %zu",
                  settings.ring_bytes, ring_bytes_min);
  }
  void* pinned = nullptr;
  const cudaError_t error =
      cudaHostAlloc(&pinned, used.ring_bytes + done_bytes, cudaHostAllocPortable);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return refuse(why, device_code::out_of_memory, "a ring of %zu bytes: %s", used.ring_bytes,
                  cudaGetErrorString(error));
  }
  auto* bytes = static_cast<std::byte*>(pinned);
  auto* done = reinterpret_cast<std::uint64_t*>(bytes + used.ring_bytes);
  *done = 0;
  auto* stream = new (std::nothrow) record_stream(used, bytes, done);
  if (stream == nullptr) {
    cudaFreeHost(pinned);
    return refuse(why, device_code::out_of_memory, "no memory for a record stream");
  }
  device_code code = stream->twin_->resize(used.ring_bytes, why);
  if (code == device_code::ok) code = stream->make_streams(why);
  if (code != device_code::ok) {
    delete stream;
    return code;
  }
  *made = stream;
  return device_code::ok;
}

device_code record_stream::make_streams(device_error* why) noexcept {
  cudaError_t error = cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking);
  for (cudaEvent_t& event : copied_) {
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  }
  return error == cudaSuccess ? device_code::ok : fail(error, "streams of the ring", why);
}

record_stream::~record_stream() {
  if (!is_lost_ && last_stream_ != nullptr) {
    const device_code drained = drain(nullptr);
    static_cast<void>(drained);
  }
  if (is_lost_) {
    twin_->abandon();
    return;
  }
  for (cudaEvent_t event : copied_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  if (copies_ != nullptr) cudaStreamDestroy(copies_);
  cudaFreeHost(pinned_);
}

device_code record_stream::fail(cudaError_t error, const char* what, device_error* why) noexcept {
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return refuse(why, device_code::out_of_memory, "%s: %s", what, cudaGetErrorString(error));
  }
  is_lost_ = true;
  return refuse(why, device_code::lost, "%s: %s", what, cudaGetErrorString(error));
}

device_code record_stream::wait_for(std::uint64_t number, device_error* why) noexcept {
  const auto deadline =
      steady::now() + std::chrono::duration_cast<steady::duration>(
                          std::chrono::duration<double>(settings_.deadline_seconds));
  for (std::uint64_t round = 1; !ring_.is_done(number); ++round) {
    if (round % 1024 != 0) continue;
    const cudaError_t error = cudaStreamQuery(copies_);
    if (error != cudaSuccess && error != cudaErrorNotReady) return fail(error, "the ring", why);
    if (steady::now() > deadline) {
      is_lost_ = true;
      return refuse(why, device_code::lost, "part %llu was not read within %.3g s",
                    static_cast<unsigned long long>(number), settings_.deadline_seconds);
    }
    std::this_thread::yield();
  }
  return device_code::ok;
}

device_code record_stream::post(cudaStream_t stream, device_error* why) noexcept {
  post_number<<<1, 1, 0, stream>>>(done_, submitted_);
  ++launches_;
  posted_ = submitted_;
  unposted_bytes_ = 0;
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? device_code::ok : fail(error, "posting a number", why);
}

device_code record_stream::begin(std::size_t bytes, bool waits, place* into,
                                 device_error* why) noexcept {
  *into = {nullptr, 0};
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  for (;;) {
    const record_ring::reservation got = ring_.reserve(bytes);
    if (got.what == record_ring::answer::ok) {
      *into = {pinned_ + got.offset, got.number};
      return device_code::ok;
    }
    if (got.what == record_ring::answer::too_large) {
      return refuse(why, device_code::invalid, "a part of %zu bytes, the ring takes %zu", bytes,
                    part_bytes_max());
    }
    if (posted_ < submitted_ && posted_ < ring_.oldest()) {
      if (const device_code code = post(last_stream_, why); code != device_code::ok) return code;
    }
    if (!waits) return device_code::ok;
    if (posted_ < ring_.oldest()) {
      return refuse(why, device_code::invalid, "the ring is full of %llu parts nobody sent",
                    static_cast<unsigned long long>(ring_.newest() - submitted_));
    }
    if (const device_code code = wait_for(ring_.oldest(), why); code != device_code::ok) {
      return code;
    }
  }
}

void record_stream::note_sent(const place& from, std::size_t bytes, cudaStream_t stream) noexcept {
  if (from.number == ring_.newest()) ring_.shrink(bytes);
  submitted_ = from.number;
  last_stream_ = stream;
  bytes_in_ += bytes;
  unposted_bytes_ += bytes;
}

device_code record_stream::transfer(const place& from, std::size_t bytes, cudaStream_t stream,
                                    std::byte** on_device, device_error* why) noexcept {
  return transfer_from(from, from.bytes, bytes, stream, on_device, why);
}

device_code record_stream::transfer_from(const place& from, const std::byte* bytes_at,
                                         std::size_t bytes, cudaStream_t stream,
                                         std::byte** on_device, device_error* why) noexcept {
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  note_sent(from, bytes, stream);
  *on_device = twin_->data() + (from.bytes - pinned_);
  cudaEvent_t copied = copied_[next_event_++ % event_count];
  cudaError_t error =
      cudaMemcpyAsync(*on_device, bytes_at, bytes, cudaMemcpyHostToDevice, copies_);
  if (error == cudaSuccess) error = cudaEventRecord(copied, copies_);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(stream, copied, 0);
  return error == cudaSuccess ? device_code::ok : fail(error, "copying a part", why);
}

device_code record_stream::finish(cudaStream_t stream, device_error* why) noexcept {
  // Small parts are posted together, or when somebody needs their room.
  if (unposted_bytes_ < settings_.ring_bytes / 16) return device_code::ok;
  return post(stream, why);
}

device_code record_stream::submit(const place& from, std::uint64_t bytes,
                                  const device_scatter& target, cudaStream_t stream,
                                  device_error* why) noexcept {
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  std::byte* read_at = from.bytes;
  if (bytes <= direct_bytes_max) {
    note_sent(from, bytes, stream);
  } else if (const device_code code = transfer(from, bytes, stream, &read_at, why);
             code != device_code::ok) {
    return code;
  }
  const auto& header = *reinterpret_cast<const part_header*>(from.bytes);
  const cudaError_t error = scatter(part_at(header, read_at), target, stream);
  ++launches_;
  if (error != cudaSuccess) return fail(error, "scattering a part", why);
  return finish(stream, why);
}

device_code record_stream::write(const device_record& record, const slot_classes& slots,
                                 const device_scatter& target, cudaStream_t stream,
                                 device_error* why) noexcept {
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  if (const device_code code = check_record(record, slots, why); code != device_code::ok) {
    return code;
  }
  if (record.page_count == 0) return device_code::ok;
  if (part_bytes(record.page_count, record.line_count, false) <= small_part_bytes) {
    small_part small;
    record_cutter cutter(record, slots, ~std::size_t{0});
    cutter.next();
    bytes_in_ += cutter.encode(small.bytes, 0);
    ++launches_;
    const cudaError_t error = scatter_small(small, target, stream);
    return error == cudaSuccess ? device_code::ok : fail(error, "scattering a record", why);
  }
  const std::size_t bytes_max = ring_.part_bytes_max() / 4;
  for (record_cutter cutter(record, slots, bytes_max); !cutter.is_at_end();) {
    place part;
    if (device_code code = begin(cutter.next(), true, &part, why); code != device_code::ok) {
      return code;
    }
    const std::uint64_t bytes = cutter.encode(part.bytes, part.number);
    if (device_code code = submit(part, bytes, target, stream, why); code != device_code::ok) {
      return code;
    }
  }
  return device_code::ok;
}

device_code record_stream::drain(device_error* why) noexcept {
  if (is_lost_) return refuse(why, device_code::lost, "the device is lost");
  if (posted_ < submitted_) {
    if (const device_code code = post(last_stream_, why); code != device_code::ok) return code;
  }
  return wait_for(submitted_, why);
}

}  // namespace sheaf::inline v0
