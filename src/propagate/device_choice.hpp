/// \file
/// Whether a commit runs on the device or here: by what commits of its size took lately.
///
/// Commits are told apart by the power of two of the source lines they change. Each side of a size
/// is tried at first; then the faster one runs, with some reluctance to change sides, and the other
/// is tried again after so many commits that trying costs less than two in a hundred.
///
/// Thread safety: of who commits. Cost: a few loads; 1.6 KiB.
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
    if (of.here.count < trials) return run_side::here;
    if (of.device.count < trials) return run_side::device;
    const double here = of.here.nanoseconds;
    const double device =
        of.device.nanoseconds + static_cast<double>(stale_lines) * stale_line_nanoseconds;
    if (of.last == run_side::here && device * reluctance < here) of.last = run_side::device;
    else if (of.last == run_side::device && here * reluctance < device) of.last = run_side::here;
    const double slower = std::max(here, device), faster = std::max(std::min(here, device), 1.0);
    if (++of.since_trial < trial_interval * std::min(slower / faster, ratio_max)) return of.last;
    of.since_trial = 0;
    return of.last == run_side::here ? run_side::device : run_side::here;
  }
  /// What it took there.
  void note(run_side side, std::uint64_t lines, double nanoseconds) noexcept {
    size_class& of = of_size(lines);
    mean& at = side == run_side::here ? of.here : of.device;
    // The first run of a side warms it up.
    at.nanoseconds =
        at.count < 2 ? nanoseconds : at.nanoseconds + (nanoseconds - at.nanoseconds) / weight;
    ++at.count;
  }

 private:
  static constexpr std::uint32_t trials = 3;
  static constexpr double reluctance = 1.1;
  static constexpr double trial_interval = 64;
  static constexpr double ratio_max = 1000;
  static constexpr double weight = 4;
  /// An estimate: a line packed here, sent and scattered there.
  static constexpr double stale_line_nanoseconds = 4;

  struct mean {
    double nanoseconds = 0;
    std::uint32_t count = 0;
  };
  struct size_class {
    mean here, device;
    run_side last = run_side::here;
    double since_trial = 0;
  };
  [[nodiscard]] size_class& of_size(std::uint64_t lines) noexcept {
    return sizes_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(lines)),
                                        sizes_.size() - 1)];
  }
  std::array<size_class, 33> sizes_{};
};

}  // namespace sheaf::inline v0
