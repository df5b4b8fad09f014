/// \file
/// What a model holds, as an engine sees it: names, array records and host functions. A `model`
/// fills it; engines share it read-only. Once shared it never changes: the next edit of the model
/// works on a copy.
///
/// Invariants
///  1. `arrays[i]` is the array with `array_id{i}`; ids are dense and never reused.
///  2. A record's type and page class never change after it is declared.
///  3. A handle names an array here where its tag is that of the array: two engines over one model
///     that both declare more arrays give the same ids under different tags.
///
/// Thread safety: reading from any thread once shared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/status.hpp>
#include <sheaf/graph/array.hpp>
#include <sheaf/graph/host_function.hpp>
#include <sheaf/graph/line_program.hpp>
#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

enum class array_kind : std::uint8_t {
  source,   ///< written by the host
  derived,  ///< computed
  hidden,   ///< computed, an inner step of one definition
  dropped,  ///< was one of these; its id and name are kept for messages
};

/// Values of `array_record::definition` that are no index.
inline constexpr std::uint32_t no_definition = no_index;            ///< a source, or still
                                                                    ///< undefined
inline constexpr std::uint32_t refused_definition = no_index - 1;  ///< the definition was a mistake

struct array_record {
  std::uint64_t length;       ///< elements; 0 only where a mistake left it unknown
  std::uint32_t level;        ///< longest path from a source; exact unless `forward_declared`
  std::uint32_t definition;   ///< index into `model_data::definitions`, or one of the above
  std::uint32_t name_begin;   ///< into `model_data::characters`; hidden: the array it belongs to
  std::uint32_t name_size;    ///< 0: anonymous; hidden: which step of that array, from 0
  dtype type;
  page_class page;
  array_kind kind;
  bool lazy;
  bool contiguous = false;    ///< its pages lie side by side
};
static_assert(sizeof(array_record) == 32);

/// One operand of a definition that is not simply a list of aligned arrays.
struct model_operand {
  std::uint64_t bits;       ///< constant: bit pattern; array: `implied_broadcast` or 0
  std::uint32_t array;      ///< no_index for a constant
  std::uint32_t element;    ///< broadcast: which; aligned: no_index
};

/// `model_operand::bits` of an array of one element that meets a longer one: should it grow, it
/// meets element by element.
inline constexpr std::uint64_t implied_broadcast = 1;

/// What computes one array.
struct definition_record {
  std::uint32_t result;         ///< array index; no_index: taken back, gone before the next compile
  std::uint32_t operand_begin;  ///< uniform: into `operand_arrays`; else into `operands`
  std::uint32_t operand_count;
  std::uint32_t payload;        ///< as in plan_operation, into the tables of this model
  operator_kind kind;
  semiring_id semiring;
  bool uniform;                 ///< as in plan_operation
  bool weighted;
};
static_assert(sizeof(definition_record) == 20);

/// What a delay follows: the operand of its definition, which is no edge of the graph.
struct delay_record {
  std::uint32_t array;
  std::uint64_t initial;  ///< bits of every element at epoch 1
};

/// A step of a sort.
struct order_record {
  order_data step;
  bool takes_all = false;  ///< sort_index: as many results as there are values, however many
};

/// A custom operator that some definition calls.
struct operator_use {
  std::uint32_t op;     ///< number in the operator registry
  std::uint32_t array;  ///< the first whose definition uses it in this form
  std::uint8_t arity;
  dtype type;
};

/// Finds arrays by name. Names are not copied: it holds indices into `model_data`.
struct name_index {
  std::vector<std::uint32_t> slots;  ///< array indices, open addressing; no_index where free
  std::uint32_t array_count = 0;     ///< arrays looked at so far
  std::uint32_t name_count = 0;      ///< slots in use
  std::vector<std::pair<std::uint32_t, std::uint32_t>> duplicates;  ///< (later, first)
};

/// Arrays from `first` on have this tag.
struct tag_run {
  std::uint32_t first, tag;
};

struct model_data {
  std::uint32_t tag = 0;            ///< of the arrays declared before an engine was opened
  std::vector<tag_run> later_tags;  ///< of those declared in its transactions, rising
  bool forward_declared = false;      ///< some array was used before its definition: levels in the
                                      ///< records are not exact
  std::uint32_t lazy_count = 0;       ///< arrays
  std::uint32_t undefined_count = 0;  ///< arrays declared and not yet defined
  std::vector<array_record> arrays;
  std::vector<definition_record> definitions;
  std::vector<std::uint32_t> operand_arrays;
  std::vector<model_operand> operands;
  std::string characters;  ///< all names, one after the other
  std::vector<line_program> programs;
  std::vector<std::shared_ptr<const index_table>> tables;
  std::vector<std::shared_ptr<const sparse_structure>> matrices;
  std::vector<std::shared_ptr<const stencil_shape>> stencils;
  std::vector<dense_shape> dense;
  std::vector<host_function> hosts;
  std::vector<std::shared_ptr<const scan_data>> scans;
  std::vector<std::shared_ptr<const histogram_data>> histograms;
  std::vector<order_record> orders;
  std::vector<delay_record> delays;
  std::vector<fixpoint_shape> fixpoints;
  std::vector<operator_use> operator_uses;  ///< each (operator, arity, type) once
  std::vector<status> mistakes;         ///< of single declarations, at most `mistake_count_max`
  std::uint64_t mistakes_not_kept = 0;
  name_index names;
  std::vector<std::uint32_t> redefined;  ///< arrays computed otherwise than in the data that this
                                         ///< was copied from; may repeat
  std::vector<std::uint32_t> dropped;    ///< arrays that data still had
  std::vector<std::pair<std::uint32_t, std::uint64_t>> shrunk;  ///< arrays that were made shorter,
                                                                ///< and to what; may repeat

  /// The tag of an array, which exists.
  [[nodiscard]] std::uint32_t tag_of(std::uint32_t array) const noexcept {
    if (later_tags.empty() || array < later_tags.front().first) return tag;
    const auto after = std::upper_bound(
        later_tags.begin(), later_tags.end(), array,
        [](std::uint32_t value, const tag_run& run) { return value < run.first; });
    return (after - 1)->tag;
  }
  /// True where `handle` names an array of this model, dropped ones included.
  [[nodiscard]] bool owns(const array_handle& handle) const noexcept {
    const std::uint32_t array = index_of(handle.id);
    return array < array_count() && handle.model_tag == tag_of(array);
  }
  [[nodiscard]] std::uint32_t array_count() const noexcept {
    return static_cast<std::uint32_t>(arrays.size());
  }
  [[nodiscard]] const array_record& record(array_id id) const noexcept {
    return arrays[index_of(id)];
  }
  /// The name given by the host; empty for anonymous and hidden arrays.
  [[nodiscard]] std::string_view given_name(std::uint32_t array) const noexcept;
  /// The name to show: the given one, "#7" for an anonymous array, "total#0" for a hidden one.
  /// "no array" where `id` is out of range, "?" where there is no memory for the name.
  [[nodiscard]] std::string name_of(array_id id) const noexcept;
  /// The same of a handle, which may be of another model.
  [[nodiscard]] std::string name_to_show(const array_handle& target) const noexcept;
  /// The array `name_of` shows as `name`; `no_array` if none. O(1) for given names and "#7", O(n)
  /// for hidden arrays.
  [[nodiscard]] array_id find(std::string_view name) const noexcept;
};

/// Mistakes a model keeps the words of; further ones are counted.
inline constexpr std::size_t mistake_count_max = 4096;

}  // namespace sheaf::inline v0
