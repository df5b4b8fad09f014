#include "cuda/memory/credit_stacks.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "cuda/memory/device_failure.hpp"
#include "cuda/memory/memory_kernels.hpp"

namespace sheaf::inline v0 {
namespace {

constexpr std::uint32_t ids_max = (std::uint32_t{1} << 31) - 1;  // a stack's count is signed

device_code refused(device_error* why, cudaError_t error, const char* call) noexcept {
  static_cast<void>(cudaGetLastError());
  return refuse(why, device_code::lost, "%s: %s", call, cudaGetErrorString(error));
}

}  // namespace

credit_stacks::credit_stacks(device_arena& arena)
    : arena_(&arena),
      headers_(arena.memory(), arena.budget(), page_class_count * sizeof(frame_stack)) {
  for (unsigned i = 0; i < page_class_count; ++i) {
    const std::uint64_t ids = std::min(arena.frames_max(static_cast<page_class>(i)), ids_max);
    arrays_[i] = std::make_unique<growing_range>(arena.memory(), arena.budget(),
                                                 ids * sizeof(std::uint32_t));
  }
}

device_code credit_stacks::open(device_arena& arena, std::unique_ptr<credit_stacks>* made,
                                device_error* why) noexcept {
  std::unique_ptr<credit_stacks> one;
  try {
    one.reset(new credit_stacks(arena));
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for stacks of frames");
  }
  const std::uint64_t bytes = page_class_count * sizeof(frame_stack);
  device_code code = one->headers_.grow_to(bytes, 0, why);
  if (code == device_code::ok) code = pinned_memory::allocate(sizeof(answers), &one->answers_, why);
  if (code != device_code::ok) return code;
  ::new (one->answers_.data()) answers{};
  one->stacks_ = reinterpret_cast<frame_stack*>(one->headers_.base());
  const frame_stack empty[page_class_count] = {};
  const physical_memory& memory = arena.memory();
  code = memory.write(memory.context, one->headers_.base(), empty, bytes, why);
  if (code == device_code::ok) *made = std::move(one);
  return code;
}

device_code credit_stacks::make_room(const class_counts& counts, device_error* why) noexcept {
  std::uint64_t all = 0;
  frame_stack stacks[page_class_count];
  const physical_memory& memory = arena_->memory();
  device_code code = memory.read(memory.context, stacks, headers_.base(), sizeof stacks, why);
  for (unsigned i = 0; i < page_class_count && code == device_code::ok; ++i) {
    all += counts[i];
    code = arrays_[i]->grow_to(counts[i] * sizeof(std::uint32_t), 0, why);
    stacks[i].ids = reinterpret_cast<std::uint32_t*>(arrays_[i]->base());
    stacks[i].capacity =
        static_cast<std::uint32_t>(arrays_[i]->bytes() / sizeof(std::uint32_t));
  }
  if (code != device_code::ok) return code;
  if (all * sizeof(std::uint32_t) > staging_.size()) {
    code = pinned_memory::allocate(all * sizeof(std::uint32_t), &staging_, why);
    if (code != device_code::ok) return code;
  }
  return memory.write(memory.context, headers_.base(), stacks, sizeof stacks, why);
}

device_code credit_stacks::grant(const std::array<credit_grant, page_class_count>& grants,
                                 cudaStream_t stream, device_error* why) noexcept {
  class_counts counts{};
  std::uint64_t staged = 0;
  for (unsigned i = 0; i < page_class_count; ++i) {
    const std::size_t bytes = grants[i].ids.size_bytes();
    counts[i] = grants[i].begin + static_cast<std::uint32_t>(grants[i].ids.size());
    SHEAF_ASSERT(counts[i] * sizeof(std::uint32_t) <= arrays_[i]->bytes() &&
                     staged + bytes <= staging_.size(),
                 "stack-has-room");
    if (bytes == 0) continue;
    std::byte* const from = staging_.data() + staged;
    std::memcpy(from, grants[i].ids.data(), bytes);
    const cudaError_t error =
        cudaMemcpyAsync(arrays_[i]->base() + grants[i].begin * sizeof(std::uint32_t), from, bytes,
                        cudaMemcpyHostToDevice, stream);
    if (error != cudaSuccess) return refused(why, error, "cudaMemcpyAsync of frame ids");
    staged += bytes;
  }
  const cudaError_t error = enqueue_counts(stacks_, counts, stream);
  return error == cudaSuccess ? device_code::ok : refused(why, error, "launch of set_counts");
}

device_code credit_stacks::finish(std::uint64_t epoch, cudaStream_t stream,
                                  device_error* why) noexcept {
  const cudaError_t error =
      enqueue_finish(stacks_, &answer()->report, &answer()->word, epoch, stream);
  return error == cudaSuccess ? device_code::ok : refused(why, error, "launch of finish_epoch");
}

void credit_stacks::abandon() noexcept {
  headers_.abandon();
  for (auto& array : arrays_) array->abandon();
  answers_.abandon();
  staging_.abandon();
}

}  // namespace sheaf::inline v0
