/// \file
/// `merge` of two deltas.
///
/// An array that both change is taken apart into single changes, which are sorted by (element,
/// order of application) and reduced element by element. What is left of an element is a short list
/// of changes that do not merge; its n-th group of equal operators goes to *level* n, and a level's
/// changes of one operator become one scatter piece, runs of neighbours range pieces. Within a
/// level an element occurs under one operator only, so the pieces of a level may come in any order.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include <sheaf/base/assert.hpp>
#include <sheaf/page/delta.hpp>

namespace sheaf::inline v0 {
namespace {

// Where a run of neighbours is at least this long, a range piece (64 bytes) is smaller than
// indices.
constexpr std::size_t run_length_min = 32;

struct change {
  std::uint64_t index;
  std::uint64_t value;  ///< the element's bits, zero-extended
  std::uint32_t level;
  merge_operator op;
};

std::uint64_t load_value(const void* values, std::uint64_t k, unsigned shift) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, static_cast<const std::byte*>(values) + (k << shift),
              std::size_t{1} << shift);
  return value;
}

template <merge_operator Op, class T>
std::uint64_t fold_bits(std::uint64_t old_bits, std::uint64_t value_bits) noexcept {
  if constexpr (supports(Op, dtype_of<T>)) {
    T old, value;
    std::memcpy(&old, &old_bits, sizeof(T));
    std::memcpy(&value, &value_bits, sizeof(T));
    const T merged = merge_element<Op, T>(old, value);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &merged, sizeof(T));
    return bits;
  }
  return old_bits;
}

std::uint64_t fold(merge_operator op, dtype type, std::uint64_t old, std::uint64_t value) noexcept {
  return visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    switch (op) {
      case merge_operator::assign: return fold_bits<merge_operator::assign, T>(old, value);
      case merge_operator::add: return fold_bits<merge_operator::add, T>(old, value);
      case merge_operator::min: return fold_bits<merge_operator::min, T>(old, value);
      case merge_operator::max: return fold_bits<merge_operator::max, T>(old, value);
      case merge_operator::bit_and: return fold_bits<merge_operator::bit_and, T>(old, value);
      case merge_operator::bit_or: return fold_bits<merge_operator::bit_or, T>(old, value);
      case merge_operator::bit_xor: break;
    }
    return fold_bits<merge_operator::bit_xor, T>(old, value);
  });
}

// Appends every change of `piece`, in the order of application.
void take_apart(std::vector<change>& changes, const delta_piece& piece) {
  const unsigned shift = size_shift(piece.type);
  if (piece.kind != piece_kind::lines) {
    for (std::uint64_t k = 0; k < piece.count; ++k) {
      const std::uint64_t index = piece.kind == piece_kind::range       ? piece.first + k
                                  : piece.kind == piece_kind::scatter32 ? piece.indices32()[k]
                                                                        : piece.indices64()[k];
      changes.push_back({index, load_value(piece.values, k, shift), 0, piece.op});
    }
    return;
  }
  std::uint64_t k = 0;
  for_each_line(piece.mask, [&](unsigned line) {
    const std::uint64_t first = (piece.first + line) << (line_shift - shift);
    for_each_line(piece.element_masks()[k], [&](unsigned element) {
      const std::uint64_t value = load_value(piece.payload() + k * line_size, element, shift);
      changes.push_back({first + element, value, 0, piece.op});
    });
    ++k;
  });
}

// Reduces sorted changes in place and sets their levels. Returns how many levels there are.
std::uint32_t reduce(std::vector<change>& changes, dtype type) noexcept {
  std::uint32_t level_count = 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < changes.size();) {
    const std::size_t begin = kept;
    const std::uint64_t index = changes[i].index;
    for (; i < changes.size() && changes[i].index == index; ++i) {
      change next = changes[i];
      if (next.op == merge_operator::assign) kept = begin;
      next.level = 0;
      if (kept != begin) {
        change& last = changes[kept - 1];
        const bool is_alike = last.op == next.op;
        if (last.op == merge_operator::assign || (is_alike && merges_exactly(next.op, type))) {
          last.value = fold(next.op, type, last.value, next.value);
          continue;
        }
        next.level = is_alike ? last.level : last.level + 1;
      }
      changes[kept++] = next;
    }
    level_count = std::max(level_count, changes[kept - 1].level + 1);
  }
  changes.resize(kept);
  return level_count;
}

// One array's part of a merge: its reduced changes, written as pieces.
class piece_writer {
 public:
  piece_writer(delta& into, array_id array, dtype type) : into_(into), array_(array), type_(type) {}

  // `changes`: one level and operator, sorted by index; equal indices only for float add.
  status write(std::span<const change> changes) {
    bool has_repeats = false;
    for (std::size_t i = 1; i < changes.size(); ++i) {
      has_repeats |= changes[i].index == changes[i - 1].index;
    }
    indices_.clear();
    values_.clear();
    for (std::size_t i = 0, end = 0; i < changes.size(); i = end) {
      end = i + 1;
      while (end < changes.size() && changes[end].index == changes[end - 1].index + 1) ++end;
      const std::span<const change> run = changes.subspan(i, end - i);
      if (run.size() >= run_length_min && !has_repeats) {
        if (status written = write_range(run); !written.is_ok()) return written;
        continue;
      }
      for (const change& each : run) {
        indices_.push_back(each.index);
        append_value(values_, each.value);
      }
    }
    return write_scatter(changes.front().op);
  }

 private:
  void append_value(std::vector<std::byte>& values, std::uint64_t value) const {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    values.insert(values.end(), bytes, bytes + size_of(type_));
  }

  status write_range(std::span<const change> run) {
    run_values_.clear();
    for (const change& each : run) append_value(run_values_, each.value);
    return into_.range(array_, type_, run.front().op, run.front().index, run_values_.data(),
                       run.size());
  }

  status write_scatter(merge_operator op) {
    if (indices_.empty()) return {};
    if (indices_.back() > 0xffff'ffffu) {
      return into_.scatter(array_, type_, op, std::span<const std::uint64_t>(indices_),
                           values_.data());
    }
    narrow_.assign(indices_.size(), 0);
    std::transform(indices_.begin(), indices_.end(), narrow_.begin(),
                   [](std::uint64_t index) { return static_cast<std::uint32_t>(index); });
    return into_.scatter(array_, type_, op, std::span<const std::uint32_t>(narrow_),
                         values_.data());
  }

  delta& into_;
  array_id array_;
  dtype type_;
  std::vector<std::uint64_t> indices_;
  std::vector<std::uint32_t> narrow_;
  std::vector<std::byte> values_, run_values_;
};

// Changes of both deltas to `array`, reduced and written to `into`.
status merge_array(delta& into, array_id array, const delta& earlier, const delta& later) {
  std::vector<change> changes;
  const delta_piece* any = nullptr;
  for (const delta* from : {&earlier, &later}) {
    for (const delta_piece& piece : from->pieces()) {
      if (piece.array != array) continue;
      if (any != nullptr && any->type != piece.type) {
        return make_status(status_code::type_mismatch, subsystem::page,
                           "two deltas change one array as different types", "%s and %s",
                           name_of(any->type).data(), name_of(piece.type).data());
      }
      any = &piece;
      take_apart(changes, piece);
    }
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const change& a, const change& b) { return a.index < b.index; });
  const std::uint32_t level_count = reduce(changes, any->type);

  const auto group_of = [](const change& each) {
    return std::size_t{each.level} * merge_operator_count + static_cast<std::size_t>(each.op);
  };
  std::vector<std::size_t> ends(std::size_t{level_count} * merge_operator_count + 1, 0);
  for (const change& each : changes) ++ends[group_of(each) + 1];
  for (std::size_t g = 1; g < ends.size(); ++g) ends[g] += ends[g - 1];
  std::vector<std::size_t> next(ends.begin(), ends.end() - 1);
  std::vector<change> grouped(changes.size());
  for (const change& each : changes) grouped[next[group_of(each)]++] = each;

  piece_writer writer(into, array, any->type);
  for (std::size_t g = 0; g + 1 < ends.size(); ++g) {
    if (ends[g] == ends[g + 1]) continue;
    const std::span<const change> group(grouped.data() + ends[g], ends[g + 1] - ends[g]);
    if (status written = writer.write(group); !written.is_ok()) return written;
  }
  return {};
}

std::vector<array_id> arrays_of(const delta& changes) {
  std::vector<array_id> arrays;
  for (const delta_piece& piece : changes.pieces()) {
    if (arrays.empty() || arrays.back() != piece.array) arrays.push_back(piece.array);
  }
  std::sort(arrays.begin(), arrays.end());
  arrays.erase(std::unique(arrays.begin(), arrays.end()), arrays.end());
  return arrays;
}

// `earlier` and `later` in one new delta, the arrays in `shared` merged.
status rebuild(delta& into, const delta& earlier, const delta& later,
               std::span<const array_id> shared) {
  for (const delta* from : {&earlier, &later}) {
    for (const delta_piece& piece : from->pieces()) {
      if (std::binary_search(shared.begin(), shared.end(), piece.array)) continue;
      if (status added = into.append(piece); !added.is_ok()) return added;
    }
  }
  for (const array_id array : shared) {
    if (status merged = merge_array(into, array, earlier, later); !merged.is_ok()) return merged;
  }
  return {};
}

}  // namespace

status merge(delta& into, const delta& next) noexcept {
  SHEAF_ASSERT(&into != &next, "merge-operands-are-two");
  const delta::mark before = into.here();
  try {
    const std::vector<array_id> mine = arrays_of(into), others = arrays_of(next);
    std::vector<array_id> shared;
    std::set_intersection(mine.begin(), mine.end(), others.begin(), others.end(),
                          std::back_inserter(shared));
    if (!shared.empty()) {
      delta built(into.bytes_max_);
      status merged = rebuild(built, into, next, shared);
      if (merged.is_ok()) into = std::move(built);
      return merged;
    }
    for (const delta_piece& piece : next.pieces()) {
      if (status added = into.append(piece); !added.is_ok()) {
        into.roll_back(before);
        return added;
      }
    }
    return {};
  } catch (const std::bad_alloc&) {
    into.roll_back(before);
    return status(status_code::out_of_memory, subsystem::page, "no memory to merge two deltas");
  }
}

}  // namespace sheaf::inline v0
