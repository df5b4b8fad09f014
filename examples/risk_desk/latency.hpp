/// \file
/// Latency of many events in fixed memory, and a progress bar for people.
///
/// Invariants
///  1. Buckets tile the values without gaps: a value below 2^11 ns has a bucket of its own, larger
///     ones share a bucket with values within 1/1024 of them. A percentile is the upper end of its
///     bucket, capped by the true maximum: never below the exact one, at most 1/1024 above.
///  2. Count and maximum are exact.
///
/// Thread safety: one thread at a time. Cost: `record` is one increment, about 2 ns; 216 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace risk_desk {

class latency_recorder {
 public:
  /// Values above it (68 s) are counted in the last bucket; the maximum stays exact.
  static constexpr std::uint64_t value_ns_max = (std::uint64_t{1} << 36) - 1;

  latency_recorder() : counts_(bucket_of(value_ns_max) + 1) {}

  void record(std::uint64_t value_ns) noexcept {
    ++counts_[bucket_of(std::min(value_ns, value_ns_max))];
    ++count_;
    max_ns_ = std::max(max_ns_, value_ns);
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_ns_; }
  /// The smallest recorded value that at least `fraction` (0..1) of all values do not exceed, at
  /// the resolution of invariant 1. 0 where nothing is recorded.
  [[nodiscard]] std::uint64_t percentile_ns(double fraction) const noexcept;

 private:
  static constexpr unsigned sub_bits = 10;

  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > sub_bits + 1 ? width - (sub_bits + 1) : 0;
    return (static_cast<std::size_t>(shift) << sub_bits) + static_cast<std::size_t>(value >> shift);
  }
  static constexpr std::uint64_t upper_end_of(std::size_t bucket) noexcept {
    if (bucket < (std::size_t{2} << sub_bits)) return bucket;
    const std::size_t shift = (bucket >> sub_bits) - 1;
    const std::uint64_t leading = bucket - (shift << sub_bits);
    return ((leading + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

/// A bar on a terminal; silent where `stream` is a pipe or a file.
class progress_bar {
 public:
  /// `label` must outlive the bar.
  progress_bar(std::FILE* stream, const char* label, std::size_t total);
  ~progress_bar() { finish(); }
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// Redraws at most ten times a second.
  void update(std::size_t done);
  /// Clears the line. Further calls do nothing.
  void finish();
  [[nodiscard]] bool is_shown() const { return is_shown_; }

 private:
  std::FILE* stream_;
  const char* label_;
  std::size_t total_;
  bool is_shown_;
  bool has_drawn_ = false;
  std::chrono::steady_clock::time_point next_draw_{};
};

}  // namespace risk_desk
