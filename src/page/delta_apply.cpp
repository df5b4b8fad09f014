/// \file
/// Which table of apply bodies, pieces over many pages, and merging of line deltas. The bodies
/// themselves: `bodies/apply_bodies.cpp`.
#include <sheaf/page/delta_apply.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

#include <sheaf/base/assert.hpp>

namespace sheaf::inline v0 {

namespace page_bodies {
namespace scalar {
extern const apply_table table;
}
namespace avx2 {
extern const apply_table table;
}
namespace avx512 {
extern const apply_table table;
}
}  // namespace page_bodies

const apply_table* apply_of(isa set) noexcept {
  if (!is_available(set)) return nullptr;
  switch (set) {
    case isa::scalar: return &page_bodies::scalar::table;
#if defined(SHEAF_HAS_AVX2)
    case isa::avx2: return &page_bodies::avx2::table;
#endif
#if defined(SHEAF_HAS_AVX512)
    case isa::avx512: return &page_bodies::avx512::table;
#endif
    default: return nullptr;
  }
}

namespace {

// log2 of the elements of a line.
unsigned line_elements_shift(dtype type) noexcept { return line_shift - size_shift(type); }

std::uint64_t one_past(std::uint64_t index) noexcept {
  return index == ~std::uint64_t{0} ? index : index + 1;
}

void touch_page(const scatter_target& target, std::uint32_t page) noexcept {
  if ((target.touched[page >> 6] >> (page & 63) & 1) == 0) target.touch(target.context, page);
}

std::byte* page_at(const scatter_target& target, std::uint32_t page) noexcept {
  return target.base + (std::uint64_t{target.frames[page]} << target.frame_shift);
}

void apply_range(range_body body, const scatter_target& target, const delta_piece& piece) noexcept {
  const std::byte* values = piece.payload();
  const std::uint64_t page_elements = std::uint64_t{1} << target.page_shift;
  std::uint64_t first = piece.first, left = piece.count;
  while (left != 0) {
    const auto page = static_cast<std::uint32_t>(first >> target.page_shift);
    const std::uint64_t within = first & (page_elements - 1);
    const std::uint64_t count = std::min(left, page_elements - within);
    touch_page(target, page);
    target.masks[page] |= body(page_at(target, page), values, static_cast<std::uint32_t>(within),
                               static_cast<std::uint32_t>(count));
    values += count << size_shift(piece.type);
    first += count;
    left -= count;
  }
}

void apply_lines(lines_body body, const scatter_target& target, const delta_piece& piece) noexcept {
  const unsigned shift = line_elements_shift(piece.type);
  SHEAF_ASSERT(target.page_shift >= shift + static_cast<unsigned>(piece.size),
               "lines-piece-fits-one-page");
  const std::uint64_t first = piece.first << shift;
  const auto page = static_cast<std::uint32_t>(first >> target.page_shift);
  const std::uint64_t line = (first & ((std::uint64_t{1} << target.page_shift) - 1)) >> shift;
  touch_page(target, page);
  const line_mask changed = body(page_at(target, page) + line * line_size, piece.mask,
                                 piece.element_masks(), piece.payload());
  target.masks[page] |= changed << line;
}

}  // namespace

std::uint64_t element_end(const apply_table& table, const delta_piece& piece) noexcept {
  switch (piece.kind) {
    case piece_kind::range: return one_past(piece.first + (piece.count - 1));
    case piece_kind::scatter32: return table.max_index32(piece.indices32(), piece.count) + 1;
    case piece_kind::scatter64: return one_past(table.max_index64(piece.indices64(), piece.count));
    case piece_kind::lines: break;
  }
  const unsigned shift = line_elements_shift(piece.type);
  const std::uint64_t* elements = piece.element_masks();
  std::uint64_t end = 0;
  for_each_line(piece.mask, [&](unsigned line) {
    const auto used = static_cast<unsigned>(std::bit_width(*elements++));
    if (used != 0) end = ((piece.first + line) << shift) + used;
  });
  return end;
}

void apply(const apply_table& table, const scatter_target& target,
           const delta_piece& piece) noexcept {
  const auto op = static_cast<unsigned>(piece.op);
  const auto type = static_cast<unsigned>(piece.type);
  switch (piece.kind) {
    case piece_kind::range: return apply_range(table.range[op][type], target, piece);
    case piece_kind::scatter32:
      return table.scatter32[op][type](target, piece.indices32(), piece.values, piece.count);
    case piece_kind::scatter64:
      return table.scatter64[op][type](target, piece.indices64(), piece.values, piece.count);
    case piece_kind::lines: break;
  }
  apply_lines(table.lines[op][type], target, piece);
}

namespace {

// Drops from `earlier` the elements that `later` assigns, and closes the gaps.
void drop_overwritten(line_delta& earlier, const line_delta& later) noexcept {
  line_mask kept = 0;
  unsigned from = 0, to = 0, other = 0;
  for_each_line(earlier.mask | later.mask, [&](unsigned line) {
    const line_mask bit = line_mask{1} << line;
    const std::uint64_t overwritten = (later.mask & bit) != 0 ? later.element_masks[other++] : 0;
    if ((earlier.mask & bit) == 0) return;
    const std::uint64_t left = earlier.element_masks[from] & ~overwritten;
    if (left != 0) {
      kept |= bit;
      earlier.element_masks[to] = left;
      if (from != to) {
        std::memcpy(earlier.payload + to * line_size, earlier.payload + from * line_size,
                    line_size);
      }
      ++to;
    }
    ++from;
  });
  earlier.mask = kept;
}

}  // namespace

line_merge merge_lines(const apply_table& table, line_delta& earlier,
                       const line_delta& later) noexcept {
  SHEAF_ASSERT(earlier.type == later.type, "line-deltas-share-a-type");
  const auto type = static_cast<unsigned>(later.type);
  if (earlier.op != later.op || !merges_exactly(later.op, later.type)) {
    if (later.op == merge_operator::assign) drop_overwritten(earlier, later);
    return line_merge::apart;
  }
  const lines_body merge_body = table.lines[static_cast<unsigned>(later.op)][type];
  const lines_body assign_body = table.lines[static_cast<unsigned>(merge_operator::assign)][type];
  const line_mask both = earlier.mask | later.mask;
  // From the last line down, so that what moves up overwrites only what has moved before.
  auto to = static_cast<unsigned>(std::popcount(both));
  auto from = static_cast<unsigned>(std::popcount(earlier.mask));
  auto other = static_cast<unsigned>(std::popcount(later.mask));
  for (line_mask left = both; left != 0;) {
    const line_mask bit = std::bit_floor(left);
    left ^= bit;
    std::byte* place = earlier.payload + --to * line_size;
    std::uint64_t present = 0;
    if ((earlier.mask & bit) != 0) {
      --from;
      present = earlier.element_masks[from];
      if (from != to) std::memcpy(place, earlier.payload + from * line_size, line_size);
    } else {
      std::memset(place, 0, line_size);
    }
    if ((later.mask & bit) != 0) {
      const std::uint64_t added = later.element_masks[--other];
      const std::uint64_t common = added & present, fresh = added & ~present;
      const std::byte* payload = later.payload + other * line_size;
      merge_body(place, 1, &common, payload);
      assign_body(place, 1, &fresh, payload);
      present |= added;
    }
    earlier.element_masks[to] = present;
  }
  earlier.mask = both;
  return line_merge::merged;
}

}  // namespace sheaf::inline v0
