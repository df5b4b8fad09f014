#include "cuda/memory/frame_credits.hpp"

#include <algorithm>
#include <new>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

device_code frame_credits::begin(const class_counts& needed,
                                 std::array<credit_grant, page_class_count>* grants,
                                 device_error* why) noexcept {
  SHEAF_ASSERT(!is_begun_, "one-commit-has-credits");
  class_counts missing{};
  try {
    for (unsigned i = 0; i < page_class_count; ++i) {
      const auto held = static_cast<std::uint32_t>(ids_[i].size());
      missing[i] = needed[i] - std::min(needed[i], held);
      ids_[i].reserve(needed[i]);
    }
  } catch (const std::bad_alloc&) {
    return refuse(why, device_code::out_of_memory, "no host memory for a list of frames");
  }
  if (const device_code code = pool_->reserve(missing, why); code != device_code::ok) return code;
  for (unsigned i = 0; i < page_class_count; ++i) {
    before_[i] = static_cast<std::uint32_t>(ids_[i].size());
    for (std::uint32_t n = 0; n < missing[i]; ++n) {
      const frame_id frame = pool_->allocate(static_cast<page_class>(i), nullptr);
      SHEAF_ASSERT(frame != no_frame, "credits-cover-commit");
      ids_[i].push_back(index_of(frame));
    }
    (*grants)[i] = {before_[i], std::span(ids_[i]).subspan(before_[i])};
  }
  is_begun_ = true;
  return device_code::ok;
}

device_code frame_credits::finish(const credit_report& report, device_error* why) noexcept {
  SHEAF_ASSERT(is_begun_, "one-commit-has-credits");
  for (unsigned i = 0; i < page_class_count; ++i) {
    if (report.left[i] >= 0 && static_cast<std::uint32_t>(report.left[i]) <= ids_[i].size()) {
      continue;
    }
    return refuse(why, device_code::invalid,
                     "the device says %d frames of page class %u are left of %zu", report.left[i],
                     i, ids_[i].size());
  }
  for (unsigned i = 0; i < page_class_count; ++i) {
    ids_[i].resize(static_cast<std::uint32_t>(report.left[i]));
  }
  is_begun_ = false;
  return device_code::ok;
}

void frame_credits::cancel() noexcept {
  SHEAF_ASSERT(is_begun_, "one-commit-has-credits");
  for (unsigned i = 0; i < page_class_count; ++i) {
    while (ids_[i].size() > before_[i]) {
      pool_->deallocate(static_cast<page_class>(i), frame_id{ids_[i].back()});
      ids_[i].pop_back();
    }
  }
  is_begun_ = false;
}

void frame_credits::give_back() noexcept {
  SHEAF_ASSERT(!is_begun_, "one-commit-has-credits");
  for (unsigned i = 0; i < page_class_count; ++i) {
    for (const std::uint32_t frame : ids_[i]) {
      pool_->deallocate(static_cast<page_class>(i), frame_id{frame});
    }
    ids_[i].clear();
  }
}

}  // namespace sheaf::inline v0
