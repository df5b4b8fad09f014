#include "engine/own_writes.hpp"

#include <algorithm>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

/// The part of an array that is being read.
template <element T>
struct window_of {
  std::uint64_t first;
  std::uint64_t count;
  T* elements;

  template <merge_operator Op>
  void merge(std::uint64_t index, const void* value) const noexcept {
    if (index - first >= count) return;
    T change;
    std::memcpy(&change, value, sizeof change);  // a borrowed column has no alignment
    elements[index - first] = merge_element<Op, T>(elements[index - first], change);
  }
};

template <merge_operator Op, element T>
void replay(const delta_piece& piece, const window_of<T>& into) noexcept {
  const auto* values = static_cast<const std::byte*>(piece.values);
  const auto value = [values](std::uint64_t i) { return values + i * sizeof(T); };
  switch (piece.kind) {
    case piece_kind::range: {
      const std::uint64_t from = std::max(piece.first, into.first);
      const std::uint64_t to = std::min(piece.first + piece.count, into.first + into.count);
      for (std::uint64_t i = from; i < to; ++i) into.template merge<Op>(i, value(i - piece.first));
      return;
    }
    case piece_kind::scatter32:
      for (std::uint64_t i = 0; i < piece.count; ++i) {
        into.template merge<Op>(piece.indices32()[i], value(i));
      }
      return;
    case piece_kind::scatter64:
      for (std::uint64_t i = 0; i < piece.count; ++i) {
        into.template merge<Op>(piece.indices64()[i], value(i));
      }
      return;
    case piece_kind::lines: break;
  }
  constexpr std::uint64_t per_line = line_size / sizeof(T);
  std::size_t k = 0;
  for_each_line(piece.mask, [&](unsigned line) {
    for_each_line(piece.element_masks()[k], [&](unsigned element) {
      into.template merge<Op>((piece.first + line) * per_line + element,
                              piece.payload() + k * line_size + element * sizeof(T));
    });
    ++k;
  });
}

template <element T>
void replay(const delta_piece& piece, const window_of<T>& into) noexcept {
  switch (piece.op) {
    case merge_operator::assign: return replay<merge_operator::assign>(piece, into);
    case merge_operator::add: return replay<merge_operator::add>(piece, into);
    case merge_operator::min: return replay<merge_operator::min>(piece, into);
    case merge_operator::max: return replay<merge_operator::max>(piece, into);
    default: break;
  }
  if constexpr (!std::is_floating_point_v<T>) {
    switch (piece.op) {
      case merge_operator::bit_and: return replay<merge_operator::bit_and>(piece, into);
      case merge_operator::bit_or: return replay<merge_operator::bit_or>(piece, into);
      default: return replay<merge_operator::bit_xor>(piece, into);
    }
  }
}

}  // namespace

void apply_own_writes(const delta& changes, array_id array, std::uint64_t first,
                      std::uint64_t count, void* elements) noexcept {
  for (const delta_piece& piece : changes.pieces()) {
    if (piece.array != array) continue;
    visit_dtype(piece.type, [&]<class T>(std::type_identity<T>) {
      replay(piece, window_of<T>{first, count, static_cast<T*>(elements)});
    });
  }
}

}  // namespace sheaf::inline v0
