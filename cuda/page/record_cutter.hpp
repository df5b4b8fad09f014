/// \file
/// A record cut into parts that fit the ring: which pages go together, and their encoding. The
/// caller sends what was encoded.
///
/// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/page/packed_part.hpp"

namespace sheaf::inline v0 {

/// Walks over a checked record.
class record_cutter {
 public:
  /// `record` passed `check_record` with `slots`. Parts take at most `bytes_max` bytes, which hold
  /// a page of 64 lines at least.
  record_cutter(const device_record& record, const slot_classes& slots,
                std::size_t bytes_max) noexcept
      : record_(record), slots_(slots), bytes_max_(bytes_max) {}

  [[nodiscard]] bool is_at_end() const noexcept { return page_ == record_.page_count; }

  /// Decides on the next part; the bytes to reserve for it. Not at the end.
  std::size_t next() noexcept {
    pages_ = 0;
    lines_ = 0;
    for (std::uint32_t i = page_; i < record_.page_count; ++i) {
      const std::uint32_t lines = lines_ + line_count(record_.pages[i].lines);
      // Room of the larger form: which of them is smaller may turn as pages are added.
      const std::size_t bytes = sizeof(part_header) + std::size_t{lines} * line_size +
                                (std::size_t{pages_} + 1) * sizeof(packed_page) +
                                tile_count(lines) * sizeof(std::uint32_t) + line_size;
      if (bytes > bytes_max_ && pages_ != 0) break;
      lines_ = lines;
      ++pages_;
    }
    return static_cast<std::size_t>(part_bytes(pages_, lines_, false));
  }
  /// Writes the part decided on to `base`; how many bytes it has.
  std::uint64_t encode(std::byte* base, std::uint64_t number) noexcept {
    part_encoder encoder(base, pages_, lines_, false);
    for (const std::uint32_t end = page_ + pages_; page_ != end; ++page_) {
      const line_record& page = record_.pages[page_];
      encoder.append_packed(page.slot, slots_.of_slot[page.slot], page.lines,
                            record_.lines + std::size_t{line_} * line_size);
      line_ += line_count(page.lines);
    }
    return encoder.end(number);
  }

 private:
  const device_record record_;
  const slot_classes slots_;
  const std::size_t bytes_max_;
  std::uint32_t page_ = 0;   ///< the first page not encoded
  std::uint32_t line_ = 0;   ///< its first line in the record
  std::uint32_t pages_ = 0;  ///< of the part decided on
  std::uint32_t lines_ = 0;
};

}  // namespace sheaf::inline v0
