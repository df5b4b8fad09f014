/// \file
/// What the declarations of one model share: the data under construction, and the caches that find
/// equal line programs and index tables again.
///
/// Thread safety: one thread at a time, as `model`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/model_data.hpp>

namespace sheaf::inline v0 {

/// The tables of a segment reduction that was declared before.
struct known_segments {
  std::shared_ptr<const segment_table> groups;
  std::uint64_t operand_length;
  unsigned size_shift;
  std::vector<std::uint32_t> tables;   ///< indices into `model_data::tables`, by level
  std::vector<std::uint64_t> lengths;  ///< partials each level leaves
};

struct declaration_state {
  std::shared_ptr<model_data> data;
  bool shared = false;  ///< `data` was handed out: copy before the next change
  bool continues = false;      ///< `data` is an engine's: nothing was edited yet
  bool needs_tag = false;      ///< of an engine: arrays declared from now on get a tag of their own
  bool lengths_moved = false;  ///< what reads an array of another length has not followed yet
  bool has_gaps = false;       ///< some definitions were taken back
  std::vector<std::uint64_t> settled_lengths;  ///< by array, where lengths moved: before they did
  std::vector<std::uint32_t> stuck;            ///< arrays that could not follow
  std::vector<status> stuck_mistakes;          ///< why, one each
  std::unordered_multimap<std::uint64_t, std::uint32_t> programs;  ///< by hash
  std::vector<known_segments> segments;
  std::vector<model_operand> scratch;  ///< operands of the definition at hand

  /// The data, to be changed.
  model_data& edit() {
    if (SHEAF_UNLIKELY(shared)) copy_data();
    return *data;
  }
  void copy_data();
  void note(const status& mistake);
  /// Adds a record with an empty definition. Notes what is wrong with name, length or page.
  std::uint32_t add_array(std::string_view name, const array_record& record);
  void put_name(array_record& made, std::string_view name);
  /// Index of `program` in `model_data::programs`, added if new.
  std::uint32_t intern(line_program&& program);

  // Edits of what is there (model_edit.cpp, follow_lengths.cpp).

  /// The array `target` names; no_index after noting why it names none that can be edited.
  std::uint32_t admit_edit(const array_handle& target, const char* call);
  /// The same for a derived array of `type` that is about to get another definition.
  std::uint32_t admit_redefinition(const array_handle& target, dtype type);
  /// Takes an array's definition and its inner arrays away.
  void take_back(std::uint32_t array);
  /// True where a definition reads `array`. O(definitions).
  bool has_reader(std::uint32_t array) const;
  /// Marks an array as dropped, without a look at who reads it.
  void bury(std::uint32_t array);
  /// Notes that `array` had `before` elements: what reads it has to follow.
  void note_length(std::uint32_t array, std::uint64_t before);
  /// Every definition follows the lengths of its operands, in order of level. O(model).
  void follow_lengths();
  /// Delays take the lengths that what they follow will have (follow_delays.cpp). O(model x longest
  /// chain of delays).
  void follow_delays();
  /// Before anything looks at the model as a whole: lengths follow, gaps are closed.
  void settle();
  void close_gaps();
};

/// The mistake in the shape of a new array, or ok.
[[nodiscard]] status fault_of_shape(const model_data& data, std::uint32_t array);
/// A tag that no model of the process has.
[[nodiscard]] std::uint32_t next_tag() noexcept;

/// Pages of an array of at least one element, or 0 where 32 bits cannot number them.
[[nodiscard]] inline std::uint32_t page_count_of(std::uint64_t length, dtype type,
                                                 page_class page) noexcept {
  const std::uint64_t pages = ((length - 1) >> (byte_shift(page) - size_shift(type))) + 1;
  return pages < no_index ? static_cast<std::uint32_t>(pages) : 0;
}

/// Makes room for `more` values. Capacity grows fourfold: what is never written costs address space
/// only, while each move to a larger block touches all of it again.
/// PERF: page faults were 40 % of building 10 000 nodes (`bench/graph/build_bench`).
template <class Value>
void make_room(std::vector<Value>& values, std::size_t more) {
  const std::size_t needed = values.size() + more;
  if (SHEAF_LIKELY(needed <= values.capacity())) return;
  values.reserve(std::max(needed, values.capacity() * 4));
}

}  // namespace sheaf::inline v0
