/// \file
/// The wire form of changed lines on their way to a device: a *part*, one run of bytes that a host
/// writes and kernels read as it is.
///
/// Form: offsets count from the part's first byte, which lies at a multiple of 64
///   part_header  64 bytes
///   lines        64 bytes each, packed page by page, rising inside a page
///   masks        u64 a line, where `has_masks`: bit b says that byte b is merged
///   places       by page: `packed_page`, 16 bytes a page; by line: `packed_line`, 8 bytes a line
///   tiles        by page: u32 for every 64 lines: the page that the first of them belongs to
/// By page suits pages with several changed lines, by line those with one: the encoder takes what
/// is smaller.
///
/// Invariants
///  1. `part-lines-once`: no line is in a part twice, so lines may be written in any order. A host
///     keeps it by slots that rise strictly, which `check_record` checks.
///  2. `part-lines-counted`: page p's lines begin at `first_line` of it, which is the sum of the
///     line counts before it.
///
/// Thread safety: a view is constant data; an encoder belongs to one thread.
/// Cost: by page 16 bytes a page and 1/16 byte a line; by line 8 bytes a line.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/memory/device_ops.hpp>

#include "cuda/memory/device_failure.hpp"

namespace sheaf::inline v0 {

inline constexpr std::uint32_t part_magic = 0x3150'4853u;  ///< "SHP1"
inline constexpr unsigned tile_shift = 6;
inline constexpr std::uint32_t tile_lines = 1u << tile_shift;  ///< what one warp writes
inline constexpr std::uint32_t part_lines_max = (1u << 29) - 1;

enum class part_form : std::uint16_t { by_page, by_line };

struct part_header {
  std::uint32_t magic;
  part_form form;
  std::uint16_t has_masks;
  std::uint32_t page_count;
  std::uint32_t line_count;
  std::uint64_t number;  ///< of the part, rising: what the device posts when it is done
  std::uint64_t masks_at, places_at, tiles_at;
  std::uint64_t byte_count;
  std::uint64_t reserved;
};
static_assert(sizeof(part_header) == line_size);

/// Changed lines of one page.
struct packed_page {
  std::uint32_t slot;
  std::uint32_t first_line : 29;
  std::uint32_t size : 3;  ///< page_class
  line_mask lines;
};
static_assert(sizeof(packed_page) == 16);

/// One changed line.
struct packed_line {
  std::uint32_t slot;
  std::uint32_t line : 6;
  std::uint32_t size : 3;  ///< page_class
  std::uint32_t reserved : 23;
};
static_assert(sizeof(packed_line) == 8);

/// A part as typed pointers, wherever it lies. `masks` is null where there are none, `pages` and
/// `tiles` or `places` where the form is the other one.
struct part_view {
  std::uint32_t page_count;
  std::uint32_t line_count;
  const std::byte* lines;
  const std::uint64_t* masks;
  const packed_page* pages;
  const std::uint32_t* tiles;
  const packed_line* places;
};

/// The part with `header`, whose bytes lie at `base`.
[[nodiscard]] SHEAF_HD part_view part_at(const part_header& header,
                                         const std::byte* base) noexcept {
  part_view view{};
  view.page_count = header.page_count;
  view.line_count = header.line_count;
  view.lines = base + sizeof(part_header);
  if (header.has_masks != 0) {
    view.masks = reinterpret_cast<const std::uint64_t*>(base + header.masks_at);
  }
  if (header.form == part_form::by_page) {
    view.pages = reinterpret_cast<const packed_page*>(base + header.places_at);
    view.tiles = reinterpret_cast<const std::uint32_t*>(base + header.tiles_at);
  } else {
    view.places = reinterpret_cast<const packed_line*>(base + header.places_at);
  }
  return view;
}

[[nodiscard]] constexpr std::uint64_t tile_count(std::uint64_t lines) noexcept {
  return (lines + tile_lines - 1) >> tile_shift;
}

/// The form that is smaller for so many pages and lines.
[[nodiscard]] constexpr part_form smaller_form(std::uint64_t pages, std::uint64_t lines) noexcept {
  return lines * sizeof(packed_line) <=
                 pages * sizeof(packed_page) + tile_count(lines) * sizeof(std::uint32_t)
             ? part_form::by_line
             : part_form::by_page;
}

/// How many bytes a part takes at most: a multiple of 64.
[[nodiscard]] constexpr std::uint64_t part_bytes(std::uint64_t pages, std::uint64_t lines,
                                                 bool has_masks) noexcept {
  const std::uint64_t places =
      smaller_form(pages, lines) == part_form::by_line
          ? lines * sizeof(packed_line)
          : pages * sizeof(packed_page) + tile_count(lines) * sizeof(std::uint32_t);
  const std::uint64_t bytes =
      sizeof(part_header) + lines * (line_size + (has_masks ? sizeof(std::uint64_t) : 0)) + places;
  return (bytes + line_size - 1) / line_size * line_size;
}

/// Writes one part into memory that somebody else owns (a ring, the arguments of a kernel).
/// Use: construct, `append` page by page with rising slots, `end`.
class part_encoder {
 public:
  /// `base` has `part_bytes(pages_max, lines_max, has_masks)` bytes, 16-byte aligned.
  part_encoder(std::byte* base, std::uint32_t pages_max, std::uint32_t lines_max,
               bool has_masks) noexcept
      : base_(base), form_(smaller_form(pages_max, lines_max)) {
    masks_at_ = sizeof(part_header) + std::uint64_t{lines_max} * line_size;
    places_at_ = masks_at_ + (has_masks ? std::uint64_t{lines_max} * sizeof(std::uint64_t) : 0);
    tiles_at_ = places_at_ + std::uint64_t{pages_max} * sizeof(packed_page);
    has_masks_ = has_masks;
  }

  /// Adds the `lines` of the page at `page`. `byte_masks`, one a set line, where the part has any.
  void append(std::uint32_t slot, page_class size, line_mask lines, const std::byte* page,
              const std::uint64_t* byte_masks = nullptr) noexcept {
    std::byte* to = line_place();
    for (line_mask left = lines; left != 0;) {
      const auto begin = static_cast<unsigned>(std::countr_zero(left));
      const auto run = static_cast<unsigned>(std::countr_one(left >> begin));
      std::memcpy(to, page + begin * line_size, run * line_size);
      to += run * line_size;
      left &= ~(first_lines(run) << begin);
    }
    note_page(slot, size, lines, byte_masks);
  }
  /// The same, the lines packed at `packed`.
  void append_packed(std::uint32_t slot, page_class size, line_mask lines, const std::byte* packed,
                     const std::uint64_t* byte_masks = nullptr) noexcept {
    std::memcpy(line_place(), packed, std::size_t{line_count(lines)} * line_size);
    note_page(slot, size, lines, byte_masks);
  }

  [[nodiscard]] std::uint32_t lines_written() const noexcept { return line_count_; }

  /// Closes gaps that bounds above the true counts left, writes the header; the bytes to send.
  std::uint64_t end(std::uint64_t number) noexcept {
    std::uint64_t at = sizeof(part_header) + std::uint64_t{line_count_} * line_size;
    const auto pull = [&](std::uint64_t& section, std::uint64_t bytes) noexcept {
      if (section != at && bytes != 0) std::memmove(base_ + at, base_ + section, bytes);
      section = at;
      at += bytes;
    };
    pull(masks_at_, has_masks_ ? std::uint64_t{line_count_} * sizeof(std::uint64_t) : 0);
    if (form_ == part_form::by_page) {
      pull(places_at_, std::uint64_t{page_count_} * sizeof(packed_page));
      pull(tiles_at_, tile_count(line_count_) * sizeof(std::uint32_t));
    } else {
      pull(places_at_, std::uint64_t{line_count_} * sizeof(packed_line));
      tiles_at_ = at;
    }
    const part_header header{part_magic,  form_,  has_masks_, page_count_,
                             line_count_, number, masks_at_,  places_at_,
                             tiles_at_,   at,     0};
    std::memcpy(base_, &header, sizeof(header));
    return at;
  }

 private:
  [[nodiscard]] std::byte* line_place() const noexcept {
    return base_ + sizeof(part_header) + std::size_t{line_count_} * line_size;
  }
  void note_page(std::uint32_t slot, page_class size, line_mask lines,
                 const std::uint64_t* byte_masks) noexcept {
    const auto count = line_count(lines);
    const auto size_bits = static_cast<std::uint32_t>(size);
    if (has_masks_ && byte_masks != nullptr) {
      std::memcpy(base_ + masks_at_ + std::size_t{line_count_} * sizeof(std::uint64_t), byte_masks,
                  count * sizeof(std::uint64_t));
    }
    if (form_ == part_form::by_page) {
      const packed_page page{slot, line_count_ & part_lines_max, size_bits & 7u, lines};
      std::memcpy(base_ + places_at_ + std::size_t{page_count_} * sizeof(page), &page,
                  sizeof(page));
      for (auto tile = static_cast<std::uint32_t>(tile_count(line_count_));
           tile < tile_count(std::uint64_t{line_count_} + count); ++tile) {
        std::memcpy(base_ + tiles_at_ + std::size_t{tile} * sizeof(tile), &page_count_,
                    sizeof(page_count_));
      }
    } else {
      std::byte* to = base_ + places_at_ + std::size_t{line_count_} * sizeof(packed_line);
      for_each_line(lines, [&](unsigned line) {
        const packed_line place{slot, line & 63u, size_bits & 7u, 0};
        std::memcpy(to, &place, sizeof(place));
        to += sizeof(place);
      });
    }
    ++page_count_;
    line_count_ += count;
  }

  std::byte* base_;
  part_form form_;
  std::uint16_t has_masks_ = 0;
  std::uint32_t page_count_ = 0;
  std::uint32_t line_count_ = 0;
  std::uint64_t masks_at_, places_at_, tiles_at_;
};

/// What the slots of a device are, as the host knows it.
struct slot_classes {
  const page_class* of_slot;
  std::uint32_t slot_count;
};

/// `ok` where `what` names pages that are there, lines that they have and as many lines as it says;
/// else `invalid` with the reason. O(pages).
[[nodiscard]] inline device_code check_record(const device_record& what, const slot_classes& slots,
                                              device_error* why) noexcept {
  std::uint64_t lines = 0;
  for (std::uint32_t i = 0; i < what.page_count; ++i) {
    const line_record& page = what.pages[i];
    if (page.slot >= slots.slot_count) {
      return refuse(why, device_code::invalid, "record %u: slot %u of %u", i, page.slot,
                    slots.slot_count);
    }
    if (i != 0 && page.slot <= what.pages[i - 1].slot) {
      return refuse(why, device_code::invalid, "record %u: slot %u after slot %u; slots rise", i,
                    page.slot, what.pages[i - 1].slot);
    }
    const unsigned has = lines_of(slots.of_slot[page.slot]);
    if ((page.lines & ~first_lines(has)) != 0 || page.lines == 0) {
      return refuse(why, device_code::invalid, "record %u: lines %#llx of a page of %u", i,
                    static_cast<unsigned long long>(page.lines), has);
    }
    lines += line_count(page.lines);
  }
  if (lines != what.line_count) {
    return refuse(why, device_code::invalid, "records name %llu lines, %u are there",
                  static_cast<unsigned long long>(lines), what.line_count);
  }
  return device_code::ok;
}

}  // namespace sheaf::inline v0
