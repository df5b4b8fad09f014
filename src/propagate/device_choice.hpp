/// \file
/// Whether a commit runs on the device or here: by what commits of its size took lately.
///
/// Commits are told apart by the power of two of the source lines they change. Each side of a size
/// is tried at first; then the cheaper one runs, with some reluctance to change sides, and the
/// other is tried again after so many commits that trying costs less than two in a hundred.
///
/// A commit here leaves lines that the device has to catch up with. Who pays for them depends on
/// where commits are at *home*, the side that alone would be faster for all of them. At home here,
/// a commit on the device pays for what is left there; at home on the device, a commit here pays
/// for what it leaves. So no commit costs more than at home. Home moves when what it would have
/// saved elsewhere has grown to the price of moving: what the device has to catch up with.
///
/// Thread safety: of who commits; `note` follows its `pick`. Cost: a few loads; 2.2 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace sheaf::inline v0 {

enum class run_side : std::uint8_t { here, device };

class device_choice {
 public:
  /// The side for a commit that changes `lines` source lines, where the device has `stale_lines` to
  /// catch up with.
  [[nodiscard]] run_side pick(std::uint64_t lines, std::uint64_t stale_lines) noexcept {
    size_class& of = of_size(lines);
    note_what_was_left(static_cast<double>(stale_lines));
    if (of.here.count < trials) return run_side::here;
    if (of.device.count < trials) return run_side::device;
    const double catch_up = stale_lines_ * stale_line_nanoseconds_;
    const double left = of.lines_left * stale_line_nanoseconds_;
    choose_home(of, catch_up);
    const double here = of.here.nanoseconds + (home_ == run_side::device ? left : 0);
    const double device = of.device.nanoseconds + (home_ == run_side::here ? catch_up : 0);
    if (of.last == run_side::here && device * reluctance < here) of.last = run_side::device;
    else if (of.last == run_side::device && here * reluctance < device) of.last = run_side::here;
    const run_side other = of.last == run_side::here ? run_side::device : run_side::here;
    const double extra = other == run_side::here ? left : catch_up;
    const double slower = std::max(here, device) + extra;
    const double faster = std::max(std::min(here, device), 1.0);
    if (++of.since_trial < trial_interval * std::min(slower / faster, ratio_max)) return of.last;
    of.since_trial = 0;
    return other;
  }
  /// What it took there, catching up included.
  void note(run_side side, std::uint64_t lines, double nanoseconds) noexcept {
    size_class& of = of_size(lines);
    mean& at = side == run_side::here ? of.here : of.device;
    ran_here_ = side == run_side::here ? &of : nullptr;
    const double own = side == run_side::here ? nanoseconds : without_catching_up(at, nanoseconds);
    // The first run of a side warms it up.
    at.nanoseconds = at.count < 2 ? own : at.nanoseconds + (own - at.nanoseconds) / weight;
    ++at.count;
  }

 private:
  static constexpr std::uint32_t trials = 3;
  static constexpr double reluctance = 1.1;
  static constexpr double trial_interval = 64;
  static constexpr double ratio_max = 1000;
  static constexpr double weight = 4;

  struct mean {
    double nanoseconds = 0;
    std::uint32_t count = 0;
  };
  struct size_class {
    mean here, device;
    run_side last = run_side::here;
    double since_trial = 0;
    double lines_left = 0;  ///< by a commit here, for the device to catch up with
  };

  /// By how much more the device is behind since the last commit, if that ran here. Of lines that
  /// it was behind by already nothing is seen, so less than is known says nothing then.
  void note_what_was_left(double stale_lines) noexcept {
    if (ran_here_ != nullptr) {
      const double left = std::max(stale_lines - stale_lines_, 0.0);
      double& known = ran_here_->lines_left;
      if (left > known) known = left;
      else if (stale_lines_ == 0) known += (left - known) / weight;
      ran_here_ = nullptr;
    }
    stale_lines_ = stale_lines;
  }
  void choose_home(const size_class& of, double catch_up) noexcept {
    const double gain = of.here.nanoseconds - of.device.nanoseconds;
    missed_ = std::max(missed_ + (home_ == run_side::here ? gain : -gain), 0.0);
    const double moving =
        std::max(catch_up, 2 * std::max(of.here.nanoseconds, of.device.nanoseconds));
    if (missed_ <= moving) return;
    home_ = home_ == run_side::here ? run_side::device : run_side::here;
    missed_ = 0;
  }
  /// A run on the device with little to catch up with tells what the run takes; one with much, what
  /// a line to catch up with does.
  [[nodiscard]] double without_catching_up(const mean& at, double nanoseconds) noexcept {
    const double catch_up = stale_lines_ * stale_line_nanoseconds_;
    if (at.count < 2 || catch_up < at.nanoseconds / 16) {
      return std::max(nanoseconds - catch_up, nanoseconds / 2);
    }
    const double price = std::max((nanoseconds - at.nanoseconds) / stale_lines_, 0.5);
    stale_line_nanoseconds_ += (price - stale_line_nanoseconds_) / 2;
    return at.nanoseconds;
  }
  [[nodiscard]] size_class& of_size(std::uint64_t lines) noexcept {
    return sizes_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(lines)),
                                        sizes_.size() - 1)];
  }

  std::array<size_class, 33> sizes_{};
  size_class* ran_here_ = nullptr;  ///< of the last commit, where it ran here
  double stale_lines_ = 0;          ///< as picked last
  /// A line packed here, sent and scattered there; at first an estimate.
  double stale_line_nanoseconds_ = 4;
  run_side home_ = run_side::here;
  double missed_ = 0;  ///< what the other home would have saved, nanoseconds
};

}  // namespace sheaf::inline v0
