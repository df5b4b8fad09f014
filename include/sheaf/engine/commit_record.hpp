/// \file
/// What a commit did: which lines of which arrays changed, derived ones included, and whose
/// transactions it was. The engine keeps the records of recent epochs in bounded memory
/// (`engine_options::record_bytes_max`); a handle keeps the memory of its record alive.
///
/// Invariants
///  1. Every line whose bits differ from the epoch before is named. Where `is_exact()`, a source
///     line is named only if a store changed its bits, a derived one only if its bits differ.
///  2. Lazy arrays are not in it: they are computed when they are read.
///
/// Thread safety: a record may be read from many threads; a handle is a value.
/// Cost: a handle is a share and an offset, nothing is copied; reading is O(changed pages), and
/// O(log arrays) for each to find its array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

struct record_block;
struct record_header;

/// Who committed and why, as the transaction was told. Lives as long as its record's handle.
struct transaction_tag {
  std::string_view who;
  std::string_view why;
};

/// Changed lines of one page of an array.
struct changed_page {
  array_id array;
  std::uint32_t page;
  line_mask lines;
};

class commit_record {
 public:
  commit_record() noexcept = default;
  commit_record(std::shared_ptr<const record_block> block, std::size_t offset) noexcept
      : block_(std::move(block)), offset_(offset) {}
  /// False for a handle of no record.
  explicit operator bool() const noexcept { return block_ != nullptr; }

  [[nodiscard]] sheaf::epoch epoch() const noexcept;
  /// False where so much changed that the record names more lines than did.
  [[nodiscard]] bool is_exact() const noexcept;
  /// Transactions of the group, in commit order.
  [[nodiscard]] std::uint32_t transaction_count() const noexcept;
  /// The tag of transaction `index`; empty where it had none or there is no such transaction.
  [[nodiscard]] transaction_tag tag(std::uint32_t index) const noexcept;

  /// Calls `visitor(const changed_page&)` for every changed page, in the order of the plan.
  template <class Visitor>
  void for_each_page(Visitor&& visitor) const {
    cursor at;
    for (changed_page found{}; next(at, found);) visitor(found);
  }
  /// The lines of page `page` of `array` that changed.
  [[nodiscard]] line_mask lines_of(array_id array, std::uint32_t page) const noexcept;

 private:
  struct cursor {
    std::uint32_t run = 0;
    std::uint32_t within = 0;
  };
  [[nodiscard]] const record_header& header() const noexcept;
  [[nodiscard]] bool next(cursor& at, changed_page& found) const noexcept;

  std::shared_ptr<const record_block> block_;
  std::size_t offset_ = 0;
};

}  // namespace sheaf::inline v0
