/// \file
/// Deltas born on the device: their way in by the host's stream, and the record of what they
/// changed.
#include <new>

#include "cuda/page/element_scatter.hpp"

namespace sheaf::inline v0 {

device_code delta_port::open(const settings& given, delta_port** made,
                             device_error* why) noexcept {
  *made = nullptr;
  auto* port = new (std::nothrow) delta_port;
  if (port == nullptr) return refuse(why, device_code::out_of_memory, "no memory for a port");
  device_code code =
      collector::open(given.record_bytes, given.deadline_seconds, &port->collector_, why);
  if (code == device_code::ok) {
    const std::size_t bytes = std::size_t{given.slot_count} * sizeof(line_mask);
    cudaError_t error = cudaMalloc(reinterpret_cast<void**>(&port->born_), bytes + line_size);
    if (error == cudaSuccess) error = cudaMemset(port->born_, 0, bytes + line_size);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&port->in_, cudaEventDisableTiming);
    if (error == cudaSuccess) {
      error = cudaEventCreateWithFlags(&port->out_, cudaEventDisableTiming);
    }
    if (error == cudaSuccess) error = cudaDeviceSynchronize();
    if (error != cudaSuccess) code = port->fail(error, "opening a port", why);
  }
  if (code != device_code::ok) {
    delete port;
    return code;
  }
  port->slot_count_ = given.slot_count;
  *made = port;
  return device_code::ok;
}

delta_port::~delta_port() {
  const bool was_lost = is_lost_ || (collector_ != nullptr && collector_->is_lost());
  delete collector_;
  if (was_lost) return;
  if (in_ != nullptr) cudaEventDestroy(in_);
  if (out_ != nullptr) cudaEventDestroy(out_);
  cudaFree(scratch_);
  cudaFree(born_);
}

device_code delta_port::fail(cudaError_t error, const char* what, device_error* why) noexcept {
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return refuse(why, device_code::out_of_memory, "%s: %s", what, cudaGetErrorString(error));
  }
  is_lost_ = true;
  return refuse(why, device_code::lost, "%s: %s", what, cudaGetErrorString(error));
}

device_code delta_port::grow_scratch(std::size_t bytes, device_error* why) noexcept {
  if (bytes <= scratch_bytes_) return device_code::ok;
  void* larger = nullptr;
  const cudaError_t error = cudaMalloc(&larger, bytes);
  if (error != cudaSuccess) return fail(error, "scratch for deltas", why);
  cudaFree(scratch_);
  scratch_ = larger;
  scratch_bytes_ = bytes;
  return device_code::ok;
}

device_code delta_port::scatter_device(const device_array& array, const element_deltas& deltas,
                                       const device_scatter& into, cudaStream_t host_stream,
                                       cudaStream_t stream,
                                       void (*take)(void* context, const device_record& record),
                                       void* context, device_error* why) noexcept {
  if (is_lost()) return refuse(why, device_code::lost, "the device is lost");
  device_code code = check_deltas(array, deltas, why);
  const element_target target = target_of(array, into);
  const std::uint64_t pages =
      array.length == 0 ? 0 : ((array.length - 1) >> target.page_shift) + 1;
  if (code == device_code::ok && array.first_slot + pages > slot_count_) {
    code = refuse(why, device_code::invalid, "slots %u to %llu of %u", array.first_slot,
                  static_cast<unsigned long long>(array.first_slot + pages), slot_count_);
  }
  if (code == device_code::ok) code = grow_scratch(element_scratch_bytes(deltas), why);
  if (code != device_code::ok || deltas.count == 0) return code;

  device_scatter noted = into;
  noted.changed = born_;
  cudaError_t error = cudaEventRecord(in_, host_stream);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(stream, in_, 0);
  if (error == cudaSuccess) {
    error = scatter_elements(array, deltas, noted, scratch_, scratch_bytes_,
                             collector_->bad_index(), stream);
  }
  if (error == cudaSuccess) error = cudaEventRecord(out_, stream);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(host_stream, out_, 0);
  if (error != cudaSuccess) return fail(error, "deltas born on the device", why);

  collect_request request{};
  request.pages = into.pages;
  request.changed = born_;
  request.onto = into.changed;
  request.first_slot = array.first_slot;
  request.count = static_cast<std::uint32_t>(pages);
  request.size = array.size;
  for (;;) {
    device_record record;
    collector::rest left;
    code = collector_->start(request, stream, why);
    if (code == device_code::ok) code = collector_->finish(&record, &left, why);
    if (code != device_code::ok) return code;
    if (const std::uint64_t bad = collector_->outcome().bad_index; bad != no_claim) {
      return refuse(why, device_code::invalid, "index %llu of an array of %llu elements",
                    static_cast<unsigned long long>(bad),
                    static_cast<unsigned long long>(array.length));
    }
    if (record.page_count != 0) take(context, record);
    if (left.pages == 0) return device_code::ok;
  }
}

}  // namespace sheaf::inline v0
