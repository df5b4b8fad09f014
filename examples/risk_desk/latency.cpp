/// \file
/// Percentiles by a walk over the buckets; the bar by carriage returns.
#include "latency.hpp"

#include <unistd.h>

#include <cmath>

namespace risk_desk {

std::uint64_t latency_recorder::percentile_ns(double fraction) const noexcept {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank && bucket + 1 < counts_.size())
      return std::min(upper_end_of(bucket), max_ns_);
  }
  return max_ns_;
}

progress_bar::progress_bar(std::FILE* stream, const char* label, std::size_t total)
    : stream_(stream), label_(label), total_(total), is_shown_(isatty(fileno(stream)) != 0) {}

void progress_bar::update(std::size_t done) {
  if (!is_shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  constexpr int width = 40;
  const double share = total_ == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total_);
  const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * width);
  std::fprintf(stream_, "\r%s [%.*s%*s] %3.0f%%", label_, full,
               "========================================", width - full, "", share * 100.0);
  std::fflush(stream_);
  has_drawn_ = true;
}

void progress_bar::finish() {
  if (has_drawn_) {
    std::fputs("\r\033[K", stream_);
    std::fflush(stream_);
  }
  has_drawn_ = false;
  is_shown_ = false;
}

}  // namespace risk_desk
