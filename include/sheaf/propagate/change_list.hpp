/// \file
/// What one commit changed, as the executor knows it: runs of slots with equal line masks, rising.
///
/// Thread safety: none.
/// Cost: `add` about 1 ns a page; 16 B a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

/// Pages [slot, slot + count), each with the same changed lines.
struct changed_run {
  std::uint32_t slot;
  std::uint32_t count;
  line_mask lines;
};

class change_list {
 public:
  /// Keeps at most `runs_max` runs, at least one. Throws `std::bad_alloc`.
  explicit change_list(std::size_t runs_max) : runs_max_(runs_max == 0 ? 1 : runs_max) {
    runs_.reserve(1);
  }

  void clear() noexcept {
    runs_.clear();
    is_exact_ = true;
  }
  /// Adds one page; slots rise. Past the limit the last run grows over everything that follows,
  /// with all lines: more than what changed, never less.
  void add(std::uint32_t slot, line_mask lines) noexcept {
    if (!runs_.empty()) {
      changed_run& last = runs_.back();
      if (slot == last.slot + last.count && lines == last.lines) {
        ++last.count;
        return;
      }
      if (runs_.size() == runs_max_ || !has_room()) {
        last.count = slot + 1 - last.slot;
        last.lines = ~line_mask{0};
        is_exact_ = false;
        return;
      }
    }
    runs_.push_back({slot, 1, lines});
  }

  [[nodiscard]] const std::vector<changed_run>& runs() const noexcept { return runs_; }
  /// False where runs hold more than what changed.
  [[nodiscard]] bool is_exact() const noexcept { return is_exact_; }

 private:
  [[nodiscard]] bool has_room() noexcept {
    if (runs_.size() < runs_.capacity()) return true;
    try {
      runs_.reserve(runs_.size() * 2);
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

  std::size_t runs_max_;
  std::vector<changed_run> runs_;
  bool is_exact_ = true;
};

}  // namespace sheaf::inline v0
