#include "engine/conflict_window.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include <sheaf/base/assert.hpp>

#include "page/piece_lines.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr std::uint64_t spans_max = 1024;
/// Entries per head: chains stay short, and the index is a sixteenth of the ring.
constexpr std::uint64_t entries_per_head = 4;
constexpr unsigned line_bits_from = 20;
constexpr std::uint32_t writer_max = (1u << 17) - 1;

std::uint64_t hash_of(array_id array, std::uint64_t line) noexcept {
  // Fibonacci hashing: neighbouring lines, which are written together, spread over the heads.
  return (line + (std::uint64_t{index_of(array)} << 40)) * 0x9e37'79b9'7f4a'7c15u;
}

bool commute(merge_operator one, merge_operator other) noexcept {
  return one == other && one != merge_operator::assign;
}

write_conflict conflict_in(const delta_piece& piece, std::uint64_t line, std::uint64_t elements,
                           std::uint64_t epoch, std::uint32_t writer) noexcept {
  const unsigned shift = line_shift - size_shift(piece.type);
  const auto from = static_cast<unsigned>(std::countr_zero(elements));
  const auto to = static_cast<unsigned>(std::bit_width(elements));
  return {epoch, piece.array, (line << shift) + from, to - from, writer};
}

}  // namespace

conflict_window::conflict_window(std::size_t bytes_max)
    : capacity_(std::bit_floor(std::min<std::size_t>(
          std::max<std::size_t>(bytes_max / (sizeof(entry) + 8 / entries_per_head), 1),
          std::size_t{1} << 31))),
      head_count_(std::bit_ceil((capacity_ + entries_per_head - 1) / entries_per_head)) {
  spans_.resize(spans_max);
  // Untouched memory is not backed: an engine with one writer uses none of it.
  entries_ = std::make_unique_for_overwrite<entry[]>(capacity_);
  heads_.reset(static_cast<std::uint64_t*>(std::calloc(head_count_, sizeof(std::uint64_t))));
  if (heads_ == nullptr) throw std::bad_alloc();
}

void conflict_window::free_delete::operator()(std::uint64_t* heads) const noexcept {
  std::free(heads);
}

std::uint64_t& conflict_window::head_of(array_id array, std::uint64_t line) noexcept {
  return heads_[hash_of(array, line) >> 32 & (head_count_ - 1)];
}

const conflict_window::entry* conflict_window::newest_of(array_id array,
                                                         std::uint64_t line) const noexcept {
  const std::uint64_t head = heads_[hash_of(array, line) >> 32 & (head_count_ - 1)];
  if (head == 0 || end_ - (head - 1) > capacity_) return nullptr;
  return &entries_[(head - 1) & (capacity_ - 1)];
}

std::uint64_t conflict_window::position_of(const entry& at) const noexcept {
  const auto slot = static_cast<std::uint64_t>(&at - entries_.get());
  return end_ - 1 - ((end_ - 1 - slot) & (capacity_ - 1));
}

/// The position is known by its low bits: it lies before that of `at`, inside the ring.
const conflict_window::entry* conflict_window::older_than(const entry& at) const noexcept {
  const std::uint64_t here = position_of(at);
  const auto distance = static_cast<std::uint32_t>(here) - at.older;
  if (distance == 0 || distance > here || end_ - (here - distance) > capacity_) return nullptr;
  return &entries_[(here - distance) & (capacity_ - 1)];
}

write_conflict conflict_window::find_line(const delta_piece& piece, std::uint64_t line,
                                          std::uint64_t elements,
                                          std::uint64_t begin) const noexcept {
  for (const entry* at = newest_of(piece.array, line); at != nullptr && at->epoch > begin;
       at = older_than(*at)) {
    if (at->array != piece.array || at->place >> line_bits_from != line) continue;
    const std::uint64_t common = at->elements & elements;
    if (common == 0 || commute(static_cast<merge_operator>(at->place & 7), piece.op)) continue;
    return conflict_in(piece, line, common, at->epoch,
                       static_cast<std::uint32_t>(at->place >> 3 & writer_max));
  }
  const std::uint64_t whole = first_lines(64u >> size_shift(piece.type));
  const write_conflict in_span = find_span(piece, line, line + 1, begin);
  if (in_span.epoch == 0) return in_span;
  return conflict_in(piece, line, elements & whole, in_span.epoch, in_span.writer);
}

write_conflict conflict_window::find_span(const delta_piece& piece, std::uint64_t line_begin,
                                          std::uint64_t line_end,
                                          std::uint64_t begin) const noexcept {
  const std::uint64_t oldest = span_end_ - std::min(span_end_, std::uint64_t{spans_.size()});
  for (std::uint64_t i = span_end_; i-- > oldest;) {
    const span& at = spans_[i % spans_max];
    if (at.epoch <= begin) break;
    if (at.array != piece.array || commute(at.op, piece.op)) continue;
    const std::uint64_t from = std::max(at.line_begin, line_begin);
    const std::uint64_t to = std::min(at.line_end, line_end);
    if (from >= to) continue;
    const unsigned shift = line_shift - size_shift(piece.type);
    return {at.epoch, piece.array, from << shift, (to - from) << shift, at.writer};
  }
  return {};
}

write_conflict conflict_window::find(const delta& changes, std::uint64_t begin) const noexcept {
  write_conflict found;
  if (newest_ <= begin) return found;
  for (const delta_piece& piece : changes.pieces()) {
    walk_lines(
        piece,
        [&](std::uint64_t line, std::uint64_t elements) {
          found = find_line(piece, line, elements, begin);
          return found.epoch != 0;
        },
        [&](std::uint64_t line_begin, std::uint64_t line_end) {
          found = find_span(piece, line_begin, line_end, begin);
          const std::uint64_t whole = first_lines(64u >> size_shift(piece.type));
          for (std::uint64_t line = line_begin; found.epoch == 0 && line < line_end; ++line) {
            found = find_line(piece, line, whole, begin);
          }
          return found.epoch != 0;
        });
    if (found.epoch != 0) break;
  }
  return found;
}

bool conflict_window::is_line_written(array_id array, std::uint64_t line,
                                      std::uint64_t begin) const noexcept {
  if (newest_ <= begin) return false;
  for (const entry* at = newest_of(array, line); at != nullptr && at->epoch > begin;
       at = older_than(*at)) {
    if (at->array == array && at->place >> line_bits_from == line) return true;
  }
  const std::uint64_t oldest = span_end_ - std::min(span_end_, std::uint64_t{spans_.size()});
  for (std::uint64_t i = span_end_; i-- > oldest;) {
    const span& at = spans_[i % spans_max];
    if (at.epoch <= begin) break;
    if (at.array == array && at.line_begin <= line && line < at.line_end) return true;
  }
  return false;
}

void conflict_window::record_line(const delta_piece& piece, std::uint64_t line,
                                  std::uint64_t elements, std::uint64_t epoch,
                                  std::uint32_t writer) noexcept {
  std::uint64_t& head = head_of(piece.array, line);
  entry& at = entries_[end_ & (capacity_ - 1)];
  if (end_ >= capacity_) complete_since_ = std::max(complete_since_, at.epoch);
  at = {.epoch = epoch,
        .place = line << line_bits_from | std::uint64_t{std::min(writer, writer_max)} << 3 |
                 static_cast<std::uint64_t>(piece.op),
        .elements = elements,
        .array = piece.array,
        // No older one: a distance of 0.
        .older = static_cast<std::uint32_t>(head == 0 ? end_ : head - 1)};
  head = ++end_;
}

void conflict_window::record_span(const delta_piece& piece, std::uint64_t line_begin,
                                  std::uint64_t line_end, std::uint64_t epoch,
                                  std::uint32_t writer) noexcept {
  span& at = spans_[span_end_ % spans_max];
  if (span_end_ >= spans_max) complete_since_ = std::max(complete_since_, at.epoch);
  at = {epoch, line_begin, line_end, piece.array, writer, piece.op, piece.type};
  ++span_end_;
}

void conflict_window::record(const delta& changes, std::uint64_t epoch,
                             std::uint32_t writer) noexcept {
  SHEAF_DASSERT(epoch >= newest_, "window-is-exact");
  newest_ = epoch;
  for (const delta_piece& piece : changes.pieces()) {
    walk_lines(
        piece,
        [&](std::uint64_t line, std::uint64_t elements) {
          record_line(piece, line, elements, epoch, writer);
          return false;
        },
        [&](std::uint64_t line_begin, std::uint64_t line_end) {
          record_span(piece, line_begin, line_end, epoch, writer);
          return false;
        });
  }
}

void conflict_window::skip_to(std::uint64_t epoch) noexcept {
  complete_since_ = std::max(complete_since_, epoch);
  newest_ = std::max(newest_, epoch);
}

void conflict_window::forget(std::uint64_t epoch) noexcept {
  while (end_ != 0) {
    entry& at = entries_[(end_ - 1) & (capacity_ - 1)];
    if (at.epoch != epoch) break;
    // What it had overwritten is gone, and was said to be.
    std::uint64_t& head = head_of(at.array, at.place >> line_bits_from);
    const auto distance = static_cast<std::uint32_t>(end_ - 1) - at.older;
    head = distance == 0 ? 0 : end_ - distance;
    at.epoch = 0;
    --end_;
  }
  while (span_end_ != 0 && spans_[(span_end_ - 1) % spans_max].epoch == epoch) {
    spans_[--span_end_ % spans_max].epoch = 0;
  }
}

}  // namespace sheaf::inline v0
