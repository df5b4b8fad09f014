/// \file
/// Rows borrowed for the length of a run: taken one by one, given back all at once. Chunks are kept
/// for the next run and never move.
///
/// Thread safety: as a standard container. Cost: O(1) a row.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

struct alignas(line_size) row_line {
  std::byte bytes[line_size];
};

class row_pool {
 public:
  explicit row_pool(std::size_t row_lines) : row_lines_(row_lines) {}

  /// The content is anything. Throws `std::bad_alloc`.
  [[nodiscard]] std::byte* take() {
    if (used_ == chunks_.size() * rows_per_chunk) {
      chunks_.push_back(std::make_unique_for_overwrite<row_line[]>(rows_per_chunk * row_lines_));
    }
    row_line* row = chunks_[used_ / rows_per_chunk].get() + used_ % rows_per_chunk * row_lines_;
    ++used_;
    return reinterpret_cast<std::byte*>(row);
  }
  void give_back_all() noexcept { used_ = 0; }

 private:
  static constexpr std::size_t rows_per_chunk = 64;
  std::size_t row_lines_;
  std::size_t used_ = 0;
  std::vector<std::unique_ptr<row_line[]>> chunks_;
};

}  // namespace sheaf::inline v0
