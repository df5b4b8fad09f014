/// \file
/// Storage of a delta: pieces in a vector, columns in blocks that never move.
#include <sheaf/page/delta.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace sheaf::inline v0 {
namespace {

constexpr std::size_t block_size_usual_max = std::size_t{1} << 20;
// A first open piece of 16 elements wastes at most 256 bytes until it is closed; a series of n sets
// becomes about log4(n / 16) pieces.
constexpr std::uint64_t open_capacity_first = 16;
constexpr std::uint64_t open_capacity_max = 1 << 16;

constexpr std::size_t rounded(std::size_t size) noexcept { return (size + 7) & ~std::size_t{7}; }

status full(std::size_t used, std::size_t limit, std::uint64_t more) noexcept {
  return make_status(status_code::too_many, subsystem::page,
                     "the delta is full, commit its changes in several transactions",
                     "%zu of %zu bytes used, %llu more asked for", used, limit,
                     static_cast<unsigned long long>(more));
}

status no_memory(std::uint64_t size) noexcept {
  return make_status(status_code::out_of_memory, subsystem::page,
                     "no memory for the columns of a delta", "%llu bytes",
                     static_cast<unsigned long long>(size));
}

status undefined_operator(merge_operator op, dtype type) noexcept {
  return make_status(status_code::invalid_argument, subsystem::page,
                     "the merge operator is not defined for the element type", "%s of %s",
                     name_of(op).data(), name_of(type).data());
}

delta_piece piece_of(array_id array, dtype type, merge_operator op, piece_kind kind,
                     std::uint64_t count) noexcept {
  return {.array = array,
          .type = type,
          .op = op,
          .kind = kind,
          .size = page_class::b64,
          .is_borrowed = false,
          .first = 0,
          .count = count,
          .mask = 0,
          .values = nullptr,
          .columns = nullptr};
}

status scatter_piece(delta& into, array_id array, dtype type, merge_operator op, piece_kind kind,
                     std::uint64_t count, const void* indices, const void* values,
                     bool is_borrowed) noexcept {
  delta_piece piece = piece_of(array, type, op, kind, count);
  piece.is_borrowed = is_borrowed;
  piece.values = values;
  piece.columns = indices;
  return into.append(piece);
}

status range_piece(delta& into, array_id array, dtype type, merge_operator op, std::uint64_t first,
                   std::uint64_t count, const void* values, bool is_borrowed) noexcept {
  if (count != 0 && first + (count - 1) < first) {
    return make_status(status_code::out_of_range, subsystem::page,
                       "the range passes the greatest index", "%llu elements at %llu",
                       static_cast<unsigned long long>(count),
                       static_cast<unsigned long long>(first));
  }
  delta_piece piece = piece_of(array, type, op, piece_kind::range, count);
  piece.is_borrowed = is_borrowed;
  piece.first = first;
  piece.values = values;
  return into.append(piece);
}

}  // namespace

delta::delta(delta&& other) noexcept
    : bytes_max_(other.bytes_max_),
      block_size_first_(other.block_size_first_),
      byte_count_(std::exchange(other.byte_count_, 0)),
      block_index_(std::exchange(other.block_index_, 0)),
      block_used_(std::exchange(other.block_used_, 0)),
      open_(std::exchange(other.open_, open_piece{})),
      pieces_(std::exchange(other.pieces_, {})),
      blocks_(std::exchange(other.blocks_, {})) {}

delta& delta::operator=(delta&& other) noexcept {
  if (this == &other) return *this;
  std::destroy_at(this);
  return *std::construct_at(this, std::move(other));
}

std::size_t delta::byte_size() const noexcept {
  return byte_count_ + pieces_.size() * sizeof(delta_piece);
}

void delta::clear() noexcept {
  open_ = {};
  pieces_.clear();
  byte_count_ = block_index_ = block_used_ = 0;
}

// Room for one more piece and `columns_size` bytes of columns within the limit.
status delta::reserve_piece(std::size_t columns_size) noexcept {
  const std::size_t used = byte_size();
  const std::size_t left = used < bytes_max_ ? bytes_max_ - used : 0;
  if (left < sizeof(delta_piece) || left - sizeof(delta_piece) < columns_size) {
    return full(used, bytes_max_, columns_size + sizeof(delta_piece));
  }
  try {
    if (pieces_.size() == pieces_.capacity()) {
      pieces_.reserve(std::max<std::size_t>(4, pieces_.size() * 2));
    }
  } catch (const std::bad_alloc&) {
    return no_memory(pieces_.size() * 2 * sizeof(delta_piece));
  }
  return {};
}

// `size` is a multiple of 8; null where the machine has no more memory.
std::byte* delta::take(std::size_t size) noexcept {
  if (blocks_.empty() || blocks_[block_index_].size - block_used_ < size) {
    std::size_t next = blocks_.empty() ? 0 : block_index_ + 1;
    std::size_t found = next;
    while (found < blocks_.size() && blocks_[found].size < size) ++found;
    if (found >= blocks_.size()) {
      const std::size_t usual = blocks_.empty() ? block_size_first_ : blocks_.back().size * 2;
      const std::size_t asked = std::max(size, std::min(usual, block_size_usual_max));
      try {
        blocks_.reserve(blocks_.size() + 1);
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
      std::unique_ptr<std::byte[]> data(new (std::nothrow) std::byte[asked]);
      if (data == nullptr) return nullptr;
      blocks_.push_back({std::move(data), asked});
      found = blocks_.size() - 1;
    }
    if (found != next) std::swap(blocks_[found], blocks_[next]);
    block_index_ = next;
    block_used_ = 0;
  }
  std::byte* taken = blocks_[block_index_].data.get() + block_used_;
  block_used_ += size;
  byte_count_ += size;
  return taken;
}

delta::mark delta::here() noexcept {
  close_set();
  return {pieces_.size(), block_index_, block_used_, byte_count_};
}

void delta::roll_back(const mark& to) noexcept {
  open_ = {};
  pieces_.resize(std::min(to.piece_count, pieces_.size()), delta_piece{});
  block_index_ = to.block_index;
  block_used_ = to.block_used;
  byte_count_ = to.byte_count;
}

status delta::open_set(array_id array, dtype type, merge_operator op,
                       std::uint64_t index) noexcept {
  if (!supports(op, type)) return undefined_operator(op, type);
  const bool is_series = open_.key == key_of(array, type, op) && open_.left == 0;
  std::uint64_t capacity =
      is_series ? std::min(open_.capacity * 4, open_capacity_max) : open_capacity_first;
  close_set();
  const bool is_wide = index > 0xffff'ffffu;
  const std::size_t index_size = is_wide ? 8 : 4;
  const auto columns_size = [&] {
    return rounded(capacity << size_shift(type)) + rounded(capacity * index_size);
  };
  const std::size_t used = byte_size() + sizeof(delta_piece);
  const std::size_t left = used < bytes_max_ ? bytes_max_ - used : 0;
  while (capacity > 1 && columns_size() > left) capacity /= 2;
  if (status reserved = reserve_piece(columns_size()); !reserved.is_ok()) return reserved;
  std::byte* values = take(columns_size());
  if (values == nullptr) return no_memory(columns_size());
  delta_piece piece =
      piece_of(array, type, op, is_wide ? piece_kind::scatter64 : piece_kind::scatter32, 0);
  piece.values = values;
  piece.columns = values + rounded(capacity << size_shift(type));
  pieces_.push_back(piece);
  open_ = {.key = key_of(array, type, op),
           .left = capacity,
           .index_max = is_wide ? ~std::uint64_t{0} : 0xffff'ffffu,
           .capacity = capacity,
           .next_value = values,
           .next_index = values + rounded(capacity << size_shift(type))};
  return {};
}

// Gives back what the open piece did not fill: its index column moves down behind its values.
void delta::close_set() noexcept {
  if (open_.key == no_key) return;
  if (open_.left != 0) {
    delta_piece& piece = pieces_.back();
    const std::size_t index_size = piece.kind == piece_kind::scatter64 ? 8 : 4;
    const std::size_t values_before = rounded(open_.capacity << size_shift(piece.type));
    const std::size_t values_now = rounded(piece.count << size_shift(piece.type));
    std::byte* values = open_.next_value - (piece.count << size_shift(piece.type));
    std::memmove(values + values_now, values + values_before, piece.count * index_size);
    piece.columns = values + values_now;
    const std::size_t returned = values_before + rounded(open_.capacity * index_size) - values_now -
                                 rounded(piece.count * index_size);
    block_used_ -= returned;
    byte_count_ -= returned;
  }
  open_ = {};
}

status delta::add_piece(const delta_piece& piece, std::size_t values_size,
                        std::size_t columns_size) noexcept {
  close_set();
  const std::size_t total = rounded(values_size) + rounded(columns_size);
  if (status reserved = reserve_piece(total); !reserved.is_ok()) return reserved;
  delta_piece added = piece;
  if (total != 0) {
    std::byte* values = take(total);
    if (values == nullptr) return no_memory(total);
    std::memcpy(values, piece.values, values_size);
    added.values = values;
    if (columns_size != 0) {
      std::memcpy(values + rounded(values_size), piece.columns, columns_size);
      added.columns = values + rounded(values_size);
    }
  }
  pieces_.push_back(added);
  return {};
}

status delta::append(const delta_piece& piece) noexcept {
  if (!supports(piece.op, piece.type)) return undefined_operator(piece.op, piece.type);
  if (piece.count == 0) return {};
  if (piece.is_borrowed) return add_piece(piece, 0, 0);
  // No column is wider than 64 bytes per count, so that the products below cannot overflow.
  if (piece.count > bytes_max_ || piece.count > (~std::size_t{0} >> 8)) {
    return full(byte_size(), bytes_max_, piece.count);
  }
  switch (piece.kind) {
    case piece_kind::range: return add_piece(piece, piece.count << size_shift(piece.type), 0);
    case piece_kind::scatter32:
      return add_piece(piece, piece.count << size_shift(piece.type), piece.count * 4);
    case piece_kind::scatter64:
      return add_piece(piece, piece.count << size_shift(piece.type), piece.count * 8);
    case piece_kind::lines: break;
  }
  return add_piece(piece, piece.count << line_shift, piece.count * 8);
}

status delta::append_owned(const delta& next) noexcept {
  const mark before = here();
  for (delta_piece piece : next.pieces()) {
    piece.is_borrowed = false;
    if (status added = append(piece); !added.is_ok()) {
      roll_back(before);
      return added;
    }
  }
  return {};
}

status delta::range(array_id array, dtype type, merge_operator op, std::uint64_t first,
                    const void* values, std::uint64_t count) noexcept {
  return range_piece(*this, array, type, op, first, count, values, false);
}

status delta::range_borrowed(array_id array, dtype type, merge_operator op, std::uint64_t first,
                             const void* values, std::uint64_t count) noexcept {
  return range_piece(*this, array, type, op, first, count, values, true);
}

status delta::scatter(array_id array, dtype type, merge_operator op,
                      std::span<const std::uint32_t> indices, const void* values) noexcept {
  return scatter_piece(*this, array, type, op, piece_kind::scatter32, indices.size(),
                       indices.data(), values, false);
}

status delta::scatter(array_id array, dtype type, merge_operator op,
                      std::span<const std::uint64_t> indices, const void* values) noexcept {
  return scatter_piece(*this, array, type, op, piece_kind::scatter64, indices.size(),
                       indices.data(), values, false);
}

status delta::scatter_borrowed(array_id array, dtype type, merge_operator op,
                               std::span<const std::uint32_t> indices,
                               const void* values) noexcept {
  return scatter_piece(*this, array, type, op, piece_kind::scatter32, indices.size(),
                       indices.data(), values, true);
}

status delta::scatter_borrowed(array_id array, dtype type, merge_operator op,
                               std::span<const std::uint64_t> indices,
                               const void* values) noexcept {
  return scatter_piece(*this, array, type, op, piece_kind::scatter64, indices.size(),
                       indices.data(), values, true);
}

status delta::lines(array_id array, dtype type, merge_operator op, page_class size,
                    std::uint64_t first_line, line_mask mask, const std::uint64_t* element_masks,
                    const void* payload) noexcept {
  const unsigned page_lines = lines_of(size);
  if (first_line % page_lines != 0 || (mask & ~first_lines(page_lines)) != 0 ||
      first_line > (~std::uint64_t{0} >> line_shift) - page_lines_max) {
    return make_status(status_code::invalid_argument, subsystem::page,
                       "the lines do not lie in one page", "first line %llu, mask %llx, %u a page",
                       static_cast<unsigned long long>(first_line),
                       static_cast<unsigned long long>(mask), page_lines);
  }
  delta_piece piece =
      piece_of(array, type, op, piece_kind::lines, static_cast<std::uint64_t>(std::popcount(mask)));
  const std::uint64_t whole_line = first_lines(64u >> size_shift(type));
  for (std::uint64_t k = 0; k < piece.count; ++k) {
    if ((element_masks[k] & ~whole_line) != 0) {
      return make_status(status_code::invalid_argument, subsystem::page,
                         "an element mask names an element past its line", "word %llu is %llx",
                         static_cast<unsigned long long>(k),
                         static_cast<unsigned long long>(element_masks[k]));
    }
  }
  piece.size = size;
  piece.first = first_line;
  piece.mask = mask;
  piece.values = payload;
  piece.columns = element_masks;
  return append(piece);
}

}  // namespace sheaf::inline v0
