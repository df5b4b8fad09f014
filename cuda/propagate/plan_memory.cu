#include "cuda/propagate/plan_memory.hpp"

#include <algorithm>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

/// Room for several arrays one behind the other.
class layout {
 public:
  template <class T>
  std::size_t add(std::size_t count) {
    const std::size_t at = bytes_;
    bytes_ = (bytes_ + std::max<std::size_t>(count, 1) * sizeof(T) + 255) & ~std::size_t{255};
    return at;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

}  // namespace

cudaError_t device_block::allocate(std::size_t bytes) noexcept {
  release();
  return cudaMalloc(&data_, std::max<std::size_t>(bytes, 1));
}
void device_block::release() noexcept {
  if (data_ != nullptr) static_cast<void>(cudaFree(data_));
  data_ = nullptr;
}

device_code plan_memory::take_sections(std::span<const device_section> sections,
                                       device_error* why) {
  layout room;
  std::size_t places[plan_section_count];
  for (std::uint32_t i = 0; i < plan_section_count; ++i) {
    places[i] = room.add<std::byte>(sections[i].bytes);
  }
  host_bytes_.assign(room.bytes(), std::byte{0});
  SHEAF_CUDA_TRY(device_, why, sections_block_.allocate(room.bytes()));
  host_sections_.clear();
  device_section on_device[plan_section_count];
  for (std::uint32_t i = 0; i < plan_section_count; ++i) {
    if (sections[i].bytes != 0) {
      std::memcpy(host_bytes_.data() + places[i], sections[i].data, sections[i].bytes);
    }
    host_sections_.push_back({host_bytes_.data() + places[i], sections[i].bytes});
    on_device[i] = {sections_block_.data() + places[i], sections[i].bytes};
  }
  host_plan_ = device_plan_at(host_sections_.data());
  view_.plan = device_plan_at(on_device);
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(sections_block_.data(), host_bytes_.data(), room.bytes(),
                                 cudaMemcpyHostToDevice, device_.stream));
  return wait(device_, "the copy of a plan", why);
}

device_code plan_memory::make_pages(device_error* why) {
  if (const device_code code = allocate_pages(why); code != device_code::ok) return code;
  return make_state(why);
}

device_code plan_memory::allocate_pages(device_error* why) noexcept {
  const device_plan_header& header = *host_plan_.header;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < page_class_count; ++i) {
    bytes += header.pages_of_class[i] << (line_shift + i);
  }
  if (bytes > device_.settings.memory_bytes_max) {
    return tell(why, device_code::out_of_memory, "pages of %llu bytes, the limit is %llu",
                static_cast<unsigned long long>(bytes),
                static_cast<unsigned long long>(device_.settings.memory_bytes_max));
  }
  for (unsigned i = 0; i < page_class_count; ++i) {
    const std::size_t size = header.pages_of_class[i] << (line_shift + i);
    page_blocks_[i].release();
    if (size == 0) continue;
    SHEAF_CUDA_TRY(device_, why, page_blocks_[i].allocate(size));
    SHEAF_CUDA_TRY(device_, why, cudaMemsetAsync(page_blocks_[i].data(), 0, size, device_.stream));
    view_.state.pages.base[i] = page_blocks_[i].data();
  }
  return device_code::ok;
}

device_code plan_memory::make_state(device_error* why) {
  const device_plan_header& header = *host_plan_.header;
  const std::uint32_t slots = header.slot_count;
  classes_.resize(slots);
  frames_.resize(slots);
  std::vector<std::uint32_t> observed((slots + 31) / 32, 0);
  std::uint32_t next[page_class_count] = {};
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    const device_slot& known = host_plan_.slots[slot];
    classes_[slot] =
        known.producer < header.source_count
            ? page_class{host_plan_.source_pages[known.producer]}
            : host_plan_
                  .operations[host_plan_.nodes[known.producer - header.source_count].operation]
                  .page;
    frames_[slot] = next[static_cast<unsigned>(classes_[slot])]++;
    observed[slot / 32] |= std::uint32_t{known.is_observed} << (slot % 32);
  }
  const auto listed = host_sections_[static_cast<std::uint32_t>(plan_section::batch_slots)].bytes;
  layout room;
  const std::size_t todo = room.add<line_mask>(slots), changed = room.add<line_mask>(slots),
                    unnoted = room.add<line_mask>(slots), list = room.add<std::byte>(listed),
                    count = room.add<std::uint32_t>(header.batch_count),
                    pulled = room.add<std::uint32_t>(header.level_count);
  const std::size_t zeros = room.bytes();
  const std::size_t frame = room.add<std::uint32_t>(slots), kind = room.add<page_class>(slots),
                    seen = room.add<std::uint32_t>(observed.size());
  SHEAF_CUDA_TRY(device_, why, state_block_.allocate(room.bytes()));
  std::byte* const at = state_block_.data();
  SHEAF_CUDA_TRY(device_, why, cudaMemsetAsync(at, 0, zeros, device_.stream));
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(at + frame, frames_.data(), slots * sizeof(frames_[0]),
                                 cudaMemcpyHostToDevice, device_.stream));
  SHEAF_CUDA_TRY(
      device_, why,
      cudaMemcpyAsync(at + kind, classes_.data(), slots, cudaMemcpyHostToDevice, device_.stream));
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(at + seen, observed.data(), observed.size() * sizeof(observed[0]),
                                 cudaMemcpyHostToDevice, device_.stream));
  run_state& state = view_.state;
  state.pages.frames = reinterpret_cast<std::uint32_t*>(at + frame);
  state.todo = reinterpret_cast<line_mask*>(at + todo);
  state.changed = reinterpret_cast<line_mask*>(at + changed);
  state.list = reinterpret_cast<std::uint32_t*>(at + list);
  state.count = reinterpret_cast<std::uint32_t*>(at + count);
  state.pulled = reinterpret_cast<std::uint32_t*>(at + pulled);
  classes_on_device_ = reinterpret_cast<page_class*>(at + kind);
  observed_ = reinterpret_cast<std::uint32_t*>(at + seen);
  unnoted_ = reinterpret_cast<line_mask*>(at + unnoted);
  return wait(device_, "the state of a plan", why);
}

device_code plan_memory::read(std::span<const std::uint32_t> slots, std::byte* into,
                              device_error* why) noexcept {
  for (const std::uint32_t slot : slots) {
    if (slot >= classes_.size()) {
      return tell(why, device_code::invalid, "slot %u of %zu", slot, classes_.size());
    }
    const std::size_t size = bytes_of(classes_[slot]);
    const std::byte* const from = page_blocks_[static_cast<unsigned>(classes_[slot])].data() +
                                  std::size_t{frames_[slot]} * size;
    SHEAF_CUDA_TRY(device_, why,
                   cudaMemcpyAsync(into, from, size, cudaMemcpyDeviceToHost, device_.stream));
    into += size;
  }
  return wait(device_, "a read", why);
}

}  // namespace sheaf::inline v0
