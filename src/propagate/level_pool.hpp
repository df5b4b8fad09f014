/// \file
/// Runs ranges of one level on several threads: the one place that touches oneTBB.
///
/// Thread safety: one caller at a time. Cost: waking the pool, some microseconds when it sleeps.
#pragma once

#include <cstdint>
#include <memory>

namespace sheaf::inline v0 {

/// A level that runs on several threads is cut into so many ranges for each.
inline constexpr std::uint32_t parts_per_thread = 8;
/// Of `words` words of 64 slots each, how many a range has. At least 1.
[[nodiscard]] constexpr std::uint32_t words_per_part(std::uint32_t words,
                                                     std::uint32_t threads) noexcept {
  const std::uint32_t parts = threads * parts_per_thread;
  return words <= parts ? 1 : (words + parts - 1) / parts;
}

class level_pool {
 public:
  explicit level_pool(unsigned threads);
  ~level_pool();
  level_pool(level_pool&&) noexcept;

  /// Calls `body(context, worker, begin, end)` for ranges that cover [first, last) once, each at
  /// least `grain` long where possible. `worker` is below the thread count and belongs to one
  /// thread at a time. Returns when all are done. Where oneTBB finds no memory for its tasks the
  /// process ends: ranges that were run cannot be told from those that were not.
  void run(std::uint32_t first, std::uint32_t last, std::uint32_t grain, void* context,
           void (*body)(void* context, unsigned worker, std::uint32_t begin,
                        std::uint32_t end)) noexcept;

 private:
  struct arena;
  std::unique_ptr<arena> arena_;
};

}  // namespace sheaf::inline v0
