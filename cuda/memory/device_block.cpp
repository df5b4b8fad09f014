#include "cuda/memory/device_block.hpp"

#include <algorithm>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

device_code past_budget(device_error* why, std::uint64_t bytes,
                        const memory_budget& budget) noexcept {
  return refuse(why, device_code::out_of_memory,
                "device memory: %llu bytes more pass the limit, %llu of %llu are held",
                static_cast<unsigned long long>(bytes),
                static_cast<unsigned long long>(budget.bytes_held),
                static_cast<unsigned long long>(budget.bytes_max));
}

device_code take_block(const physical_memory& memory, memory_budget& budget, std::uint64_t bytes,
                       std::byte** block, device_error* why) noexcept {
  if (!budget.has_room(bytes)) return past_budget(why, bytes, budget);
  const device_code code = memory.allocate(memory.context, bytes, block, why);
  if (code != device_code::ok) return code;
  budget.bytes_held += bytes;
  ++budget.growth_count;
  return device_code::ok;
}

void give_block(const physical_memory& memory, memory_budget& budget, std::byte* block,
                std::uint64_t bytes) noexcept {
  memory.free(memory.context, block, bytes);
  budget.bytes_held -= bytes;
}

device_code device_block::resize(std::uint64_t bytes, device_error* why) noexcept {
  const std::uint64_t wanted = std::max<std::uint64_t>((bytes + 255) / 256 * 256, 256);
  if (data_ != nullptr && bytes_ >= wanted && bytes_ / 4 <= wanted) return device_code::ok;
  release();
  const device_code code = take_block(*memory_, *budget_, wanted, &data_, why);
  if (code == device_code::ok) bytes_ = wanted;
  return code;
}

void device_block::release() noexcept {
  if (data_ != nullptr) give_block(*memory_, *budget_, data_, bytes_);
  data_ = nullptr;
}

}  // namespace sheaf::inline v0
