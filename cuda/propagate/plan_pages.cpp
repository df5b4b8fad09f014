#include "cuda/propagate/plan_pages.hpp"

#include <algorithm>
#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

device_code plan_pages::place(const device_plan& plan, device_error* why) noexcept {
  const std::uint32_t slots = plan.header->slot_count;
  device_code code = device_code::ok;
  try {
    classes_.resize(slots);
    numbers_.resize(slots);
    counts_ = {};
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      classes_[slot] = class_of_slot(plan, slot);
      ++counts_[static_cast<unsigned>(classes_[slot])];
    }
  } catch (const std::bad_alloc&) {
    code = refuse(why, device_code::out_of_memory, "no host memory for a table of %u pages", slots);
  }
  if (code == device_code::ok) code = take_frames(why);
  if (code == device_code::ok) code = number_frames(why);
  if (code != device_code::ok) give_back();
  return code;
}

device_code plan_pages::take_frames(device_error* why) noexcept {
  pool_.reset();
  arena_->fit(counts_);
  if (const device_code code = pool_.reserve(counts_, why); code != device_code::ok) return code;
  for (unsigned i = 0; i < page_class_count; ++i) {
    if (counts_[i] == 0) continue;
    frame_id first = no_frame;
    const device_code code =
        pool_.allocate_run(static_cast<page_class>(i), counts_[i], &first, why);
    SHEAF_ASSERT(code == device_code::ok && first == frame_id{0}, "plan-has-all-pages");
  }
  return device_code::ok;
}

/// Where the frames are, in `numbers_` and `view_`; the k-th slot of a class has frame k.
device_code plan_pages::number_frames(device_error* why) noexcept {
  view_ = {};
  view_.counts_lines = arena_->is_plain() ? 0 : ~std::uint32_t{0};
  class_counts next{};
  for (unsigned i = 0; i < page_class_count; ++i) {
    const auto size = static_cast<page_class>(i);
    for (std::uint32_t k = 0; k < counts_[i]; ++k) {
      std::byte* const at = arena_->address(size, frame_id{k});
      view_.base[i] = view_.base[i] == nullptr ? at : std::min(view_.base[i], at);
      if (arena_->is_plain()) break;
    }
  }
  for (std::size_t slot = 0; slot < classes_.size(); ++slot) {
    const page_class size = classes_[slot];
    const auto which = static_cast<unsigned>(size);
    const std::byte* const at = arena_->address(size, frame_id{next[which]++});
    const auto offset = static_cast<std::uint64_t>(at - view_.base[which]);
    const std::uint64_t number = offset >> view_.frame_shift(size);
    if (number > ~std::uint32_t{0}) {
      return refuse(why, device_code::unsupported,
                    "checked pages of class %u lie %llu bytes apart, 256 GiB are named", which,
                    static_cast<unsigned long long>(offset));
    }
    SHEAF_ASSERT(number << view_.frame_shift(size) == offset, "plan-has-all-pages");
    numbers_[slot] = static_cast<std::uint32_t>(number);
  }
  return device_code::ok;
}

void plan_pages::give_back() noexcept {
  classes_.clear();
  numbers_.clear();
  counts_ = {};
  view_ = {};
  pool_.reset();
  arena_->fit(counts_);
}

device_pages plan_pages::view(const std::uint32_t* numbers_at) const noexcept {
  device_pages made = view_;
  made.frames = numbers_at;
  return made;
}

}  // namespace sheaf::inline v0
