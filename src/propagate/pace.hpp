/// \file
/// How often work with a time budget looks at the clock.
///
/// Work is told in units of about equal cost: a mark, a line recomputed. So many of them as take
/// `step_time` lie between two looks, fewer towards the end, by what the last ones took; never more
/// than twice as many as the last time, so that work that turns dear costs one look too late, and
/// one at most where `change` said that other work follows.
///
/// Thread safety: none; each worker has its own. Cost: a look is about 30 ns.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <sheaf/base/macros.hpp>

namespace sheaf::inline v0 {

class pace {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr auto step_time = std::chrono::microseconds(5);

  /// Until `until`; `time_point::max()` looks at no clock.
  explicit pace(clock::time_point until) noexcept
      : until_(until),
        before_(is_bounded() ? clock::now() : clock::time_point{}),
        allowed_(is_bounded() ? 1 : ~std::uint64_t{0}) {}

  [[nodiscard]] bool is_bounded() const noexcept { return until_ != clock::time_point::max(); }
  [[nodiscard]] clock::time_point until() const noexcept { return until_; }
  /// True from the first look on that found the time passed.
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  /// What follows costs something else a unit: the next look comes after one.
  void change() noexcept {
    if (is_bounded()) allowed_ = done_ + 1;
  }
  /// Says that `units` of work are done; true where the time has passed.
  bool spent(std::uint64_t units) noexcept {
    done_ += units;
    return SHEAF_UNLIKELY(done_ >= allowed_) && look();
  }
  bool look() noexcept {
    if (!is_bounded()) return false;
    const clock::time_point now = clock::now();
    is_over_ = now >= until_;
    const auto taken = std::max<std::int64_t>((now - before_).count(), 1);
    const auto wanted = std::min<clock::duration>(step_time, until_ - now).count();
    const double fitting = static_cast<double>(done_) * static_cast<double>(wanted) /
                           static_cast<double>(taken);
    allowed_ = is_over_ ? 1
                        : static_cast<std::uint64_t>(std::clamp(
                              fitting, 1.0, 2.0 * static_cast<double>(done_) + 1.0));
    done_ = 0;
    before_ = now;
    return is_over_;
  }

 private:
  clock::time_point until_;
  clock::time_point before_;  ///< of the last look
  std::uint64_t allowed_;     ///< units until the next
  std::uint64_t done_ = 0;    ///< since the last
  bool is_over_ = false;
};

}  // namespace sheaf::inline v0
