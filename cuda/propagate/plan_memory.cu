#include "cuda/propagate/plan_memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cuda/memory/memory_kernels.hpp"

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

/// Of a device without virtual memory management: as a host's own allocator.
void* allocate_of_runtime(void*, std::uint64_t bytes) noexcept {
  void* made = nullptr;
  if (cudaMalloc(&made, bytes) == cudaSuccess) return made;
  static_cast<void>(cudaGetLastError());
  return nullptr;
}
void deallocate_of_runtime(void*, void* block, std::uint64_t) noexcept {
  static_cast<void>(cudaFree(block));
}

}  // namespace

device_code plan_memory::open(device_error* why) {
  if (pages_) return device_code::ok;
  const device_settings& settings = device_.settings;
  device_memory_hook hook = settings.memory;
  if (hook.allocate == nullptr && driver_memory_ == nullptr) {
    const device_code code = cuda_memory::open(settings.index, &driver_memory_, why);
    if (code == device_code::unsupported || code == device_code::absent) {
      hook = {nullptr, allocate_of_runtime, deallocate_of_runtime};
    } else if (code != device_code::ok) {
      return code;
    }
  }
  if (hook.allocate != nullptr) hooked_.emplace(hook, cuda_blocks());
  const physical_memory memory = hooked_ ? hooked_->memory() : driver_memory_->memory();
  std::size_t available = 0, total = 0;
  SHEAF_CUDA_TRY(device_, why, cudaMemGetInfo(&available, &total));
  device_arena_options options;
  options.bytes_max = settings.memory_bytes_max;
  options.mode = arena_mode_of(settings);
  // A class cannot hold more than the device has; addresses are not without end.
  options.range_bytes = (total + memory.step_bytes - 1) / memory.step_bytes * memory.step_bytes;
  if (const device_code code = device_arena::create(options, memory, &arena_, why);
      code != device_code::ok) {
    return code;
  }
  pages_.emplace(*arena_);
  sections_block_.emplace(arena_->memory(), arena_->budget());
  state_block_.emplace(arena_->memory(), arena_->budget());
  const std::span<const void* const> kernels = memory_kernels();
  return load_kernels(device_, kernels, why);
}

device_code plan_memory::take_sections(std::span<const device_section> sections,
                                       device_error* why) {
  // What is written since the last commit may still be on its way into pages.
  if (const device_code code = wait(device_, "the plan before", why); code != device_code::ok) {
    return code;
  }
  if (const device_code code = check_zones(why); code != device_code::ok) return code;
  is_loaded_ = false;
  layout room;
  std::size_t places[plan_section_count];
  for (std::uint32_t i = 0; i < plan_section_count; ++i) {
    places[i] = room.add<std::byte>(sections[i].bytes);
  }
  host_bytes_.assign(room.bytes(), std::byte{0});
  host_sections_.clear();
  for (std::uint32_t i = 0; i < plan_section_count; ++i) {
    if (sections[i].bytes != 0) {
      std::memcpy(host_bytes_.data() + places[i], sections[i].data, sections[i].bytes);
    }
    host_sections_.push_back({host_bytes_.data() + places[i], sections[i].bytes});
  }
  host_plan_ = device_plan_at(host_sections_.data());
  return device_code::ok;
}

device_code plan_memory::load(device_error* why) {
  if (const device_code code = pages_->place(host_plan_, why); code != device_code::ok) {
    return code;
  }
  if (const device_code code = copy_sections(why); code != device_code::ok) return code;
  if (const device_code code = clear_pages(why); code != device_code::ok) return code;
  if (const device_code code = make_state(why); code != device_code::ok) return code;
  is_loaded_ = true;
  return device_code::ok;
}

void plan_memory::give_back() noexcept {
  is_loaded_ = false;
  device_error unwanted;
  // Memory that a lost device may still write to is left alone.
  if (!pages_ || wait(device_, "the end of a plan", &unwanted) != device_code::ok) return;
  pages_->give_back();
  sections_block_->release();
  state_block_->release();
}

device_code plan_memory::copy_sections(device_error* why) noexcept {
  const std::size_t bytes = host_bytes_.size();
  if (const device_code code = sections_block_->resize(bytes, why); code != device_code::ok) {
    return code;
  }
  device_section on_device[plan_section_count];
  for (std::uint32_t i = 0; i < plan_section_count; ++i) {
    const auto* const at = static_cast<const std::byte*>(host_sections_[i].data);
    on_device[i] = {sections_block_->data() + (at - host_bytes_.data()), host_sections_[i].bytes};
  }
  view_.plan = device_plan_at(on_device);
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(sections_block_->data(), host_bytes_.data(), bytes,
                                 cudaMemcpyHostToDevice, device_.stream));
  return wait(device_, "the copy of a plan", why);
}

device_code plan_memory::clear_pages(device_error* why) noexcept {
  for (unsigned i = 0; i < page_class_count; ++i) {
    SHEAF_CUDA_TRY(device_, why,
                   enqueue_zeros(arena_->view(), static_cast<page_class>(i), 0,
                                 pages_->counts()[i], device_.stream));
  }
  return device_code::ok;
}

device_code plan_memory::make_state(device_error* why) {
  const device_plan_header& header = *host_plan_.header;
  const std::uint32_t slots = header.slot_count;
  std::vector<std::uint32_t> observed((slots + 31) / 32, 0);
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    observed[slot / 32] |= std::uint32_t{host_plan_.slots[slot].is_observed} << (slot % 32);
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
  if (const device_code code = state_block_->resize(room.bytes(), why); code != device_code::ok) {
    return code;
  }
  std::byte* const at = state_block_->data();
  SHEAF_CUDA_TRY(device_, why, cudaMemsetAsync(at, 0, zeros, device_.stream));
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(at + frame, pages_->numbers().data(),
                                 pages_->numbers().size_bytes(), cudaMemcpyHostToDevice,
                                 device_.stream));
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(at + kind, classes().data(), classes().size_bytes(),
                                 cudaMemcpyHostToDevice, device_.stream));
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync(at + seen, observed.data(), observed.size() * sizeof(observed[0]),
                                 cudaMemcpyHostToDevice, device_.stream));
  run_state& state = view_.state;
  state.pages = pages_->view(reinterpret_cast<std::uint32_t*>(at + frame));
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
    if (slot >= classes().size()) {
      return tell(why, device_code::invalid, "slot %u of %zu", slot, classes().size());
    }
    const std::size_t bytes = bytes_of(classes()[slot]);
    SHEAF_CUDA_TRY(device_, why,
                   cudaMemcpyAsync(into, pages_->address(slot), bytes, cudaMemcpyDeviceToHost,
                                   device_.stream));
    into += bytes;
  }
  return wait(device_, "a read", why);
}

device_code plan_memory::check_zones(device_error* why) noexcept {
  if (!pages_ || arena_->is_plain()) return device_code::ok;
  device_error found;
  const device_code code = pages_->check(&found);
  if (code == device_code::ok) return code;
  if (code != device_code::invalid) return lose(device_, why, "%s", found.text);
  std::fprintf(stderr, "sheaf: %s\n", found.text);
  SHEAF_ASSERT(code == device_code::ok, "red-zones-whole");
  return code;
}

}  // namespace sheaf::inline v0
