/// \file
/// Definitions: what a derived array is. An expression is one; `combine`, `reduce`,
/// `segment_reduce` and `gather` make the others.
///
/// A definition made from a span, a vector or a braced list refers to it: pass it to
/// `model::derive` or `model::define` in the same full expression, as in
/// `model.derive("x", combine(semiring_id::sum_product, {a, b}))`.
///
/// Thread safety: values. Cost: `combine` allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/status.hpp>
#include <sheaf/graph/expression.hpp>

namespace sheaf::inline v0 {

/// One operand of a weighted `combine`, whatever its element type.
struct term_data {
  array_handle value;
  array_handle weight;              ///< unless constant
  std::uint64_t value_index = 0;    ///< where `value_broadcast`
  std::uint64_t weight_bits = 0;    ///< constant: bit pattern; broadcast: index of the element
  bool value_broadcast = false;
  bool weight_broadcast = false;
  bool weight_constant = false;
  bool weight_one = false;          ///< in a fixpoint group: the semiring's one
};

/// A value and the weight semiring times applies to it. The value is an array or an element of one;
/// the weight a constant, an array of the same length or an element of one.
template <element T>
class term {
 public:
  using value_type = T;
  template <class Value, class Weight>
    requires(std::same_as<Value, array<T>> || std::same_as<Value, element_ref<T>>) &&
            (std::same_as<Weight, array<T>> || std::same_as<Weight, element_ref<T>> ||
             constant_for<Weight, T>)
  term(const Value& value, const Weight& weight) noexcept {
    if constexpr (std::same_as<Value, array<T>>) data_.value = value.handle();
    else set_value(value);
    if constexpr (std::same_as<Weight, array<T>>) data_.weight = weight.handle();
    else if constexpr (std::same_as<Weight, element_ref<T>>) set_weight(weight);
    else set_weight(constant_bits(static_cast<T>(weight)));
  }
  [[nodiscard]] const term_data& data() const noexcept { return data_; }

 private:
  void set_value(const element_ref<T>& value) noexcept {
    data_.value = value.from.handle();
    data_.value_index = value.index;
    data_.value_broadcast = true;
  }
  void set_weight(const element_ref<T>& weight) noexcept {
    data_.weight = weight.from.handle();
    data_.weight_bits = weight.index;
    data_.weight_broadcast = true;
  }
  void set_weight(std::uint64_t bits) noexcept {
    data_.weight_bits = bits;
    data_.weight_constant = true;
  }

  term_data data_;
};
template <element T, class Weight>
term(array<T>, Weight) -> term<T>;
template <element T, class Weight>
term(element_ref<T>, Weight) -> term<T>;

/// Groups of elements, fixed when declared. Group g has the members `members[offsets[g] ..
/// offsets[g + 1])`, in that order. One object may serve many definitions.
struct segment_table {
  std::vector<std::uint32_t> offsets;
  std::vector<std::uint32_t> members;
  status mistake;  ///< what is wrong with the input, reported by the definition that uses it
};

class segments {
 public:
  /// Element i belongs to group `segment_of_element[i]`, which must be below `count`; members come
  /// in rising order. O(elements + count).
  [[nodiscard]] static segments from_ids(std::span<const std::uint32_t> segment_of_element,
                                         std::uint32_t count);
  /// `offsets` starts with 0, rises, and ends with the number of members.
  [[nodiscard]] static segments from_csr(std::vector<std::uint32_t> offsets,
                                         std::vector<std::uint32_t> members);

  [[nodiscard]] std::uint32_t count() const noexcept {
    return table_->offsets.empty() ? 0 : static_cast<std::uint32_t>(table_->offsets.size() - 1);
  }
  [[nodiscard]] const std::shared_ptr<const segment_table>& table() const noexcept {
    return table_;
  }

 private:
  explicit segments(std::shared_ptr<const segment_table> table) noexcept
      : table_(std::move(table)) {}
  std::shared_ptr<const segment_table> table_;
};

struct product_definition;  // sheaf/graph/shapes.hpp

/// A definition without its element type.
struct definition_data {
  enum class form : std::uint8_t {
    combine, combine_terms, program, reduce, segment_reduce, gather, spmv, stencil, gemv, matmul,
    scan, histogram, sort_index, top_k, gather_at, delay, fixpoint
  };
  form kind;
  semiring_id semiring = semiring_id::sum_product;
  const std::byte* first = nullptr;    ///< combine: of `array_handle`s; combine_terms: of
                                       ///< `term_data`
  std::size_t count = 0;
  std::vector<expression_step> steps = {};  ///< of the other forms; fixpoint: its operands
  std::shared_ptr<const segment_table> groups = {};
  std::shared_ptr<const product_definition> product = {};  ///< spmv, stencil, gemv, matmul
  std::vector<std::uint32_t> indices = {};  ///< gather; scan: where segments begin
  bool exclusive = false;                   ///< scan
  bool clamp = false;                       ///< histogram
  bool descending = false;                  ///< sort_index, top_k
  dtype from = dtype::f32;                  ///< histogram, sort_index: of the operand
  std::uint64_t taken = 0;                  ///< sort_index, top_k: results
  std::vector<std::uint64_t> bits = {};     ///< histogram: edges; delay: the initial value
  array_handle at = {};                     ///< gather_at: the indices; delay: what it follows
  std::uint32_t iterations_max = 0;         ///< fixpoint
};

/// What an array of `T` is derived from.
template <element T>
class definition {
 public:
  using value_type = T;
  definition(array<T> copied) : definition(expression<T>(copied)) {}
  definition(element_ref<T> copied) : definition(expression<T>(copied)) {}
  definition(expression<T> program)
      : data_{.kind = definition_data::form::program, .steps = std::move(program).steps()} {}
  /// For the functions below.
  explicit definition(definition_data data) noexcept : data_(std::move(data)) {}
  [[nodiscard]] const definition_data& data() const noexcept { return data_; }

 private:
  definition_data data_;
};

/// values[0] + values[1] + ... from the left, element by element, with the semiring's plus.
template <element T>
[[nodiscard]] definition<T> combine(semiring_id semiring, std::span<const array<T>> values) {
  static_assert(sizeof(array<T>) == sizeof(array_handle));
  return definition<T>({.kind = definition_data::form::combine,
                        .semiring = semiring,
                        .first = reinterpret_cast<const std::byte*>(values.data()),
                        .count = values.size()});
}
/// value[0] * weight[0] + value[1] * weight[1] + ... from the left, with the semiring's plus and
/// times; sum-product rounds once per term.
template <element T>
[[nodiscard]] definition<T> combine(semiring_id semiring, std::span<const term<T>> terms) {
  static_assert(sizeof(term<T>) == sizeof(term_data));
  return definition<T>({.kind = definition_data::form::combine_terms,
                        .semiring = semiring,
                        .first = reinterpret_cast<const std::byte*>(terms.data()),
                        .count = terms.size()});
}
template <element T>
[[nodiscard]] definition<T> combine(semiring_id semiring, std::initializer_list<array<T>> values) {
  return combine(semiring, std::span<const array<T>>(values.begin(), values.size()));
}
template <element T>
[[nodiscard]] definition<T> combine(semiring_id semiring, std::initializer_list<term<T>> terms) {
  return combine(semiring, std::span<const term<T>>(terms.begin(), terms.size()));
}
/// Any contiguous range of arrays or terms.
template <std::ranges::contiguous_range Range>
  requires requires { typename std::ranges::range_value_t<Range>::value_type; }
[[nodiscard]] auto combine(semiring_id semiring, const Range& values) {
  using Value = std::ranges::range_value_t<Range>;
  return combine<typename Value::value_type>(semiring, std::span<const Value>(values));
}

/// All elements folded to one with the semiring's plus, by the fixed tree of
/// `sheaf/algebra/fold_tree.hpp`. One changed line costs O(log n): the tree's partials are kept.
template <expression_operand X>
[[nodiscard]] auto reduce(semiring_id semiring, X&& values) {
  using T = expression_value<X>;
  return definition<T>({.kind = definition_data::form::reduce,
                        .semiring = semiring,
                        .steps = expression<T>(std::forward<X>(values)).steps()});
}
template <expression_operand X>
[[nodiscard]] auto sum(X&& values) {
  return reduce(semiring_id::sum_product, std::forward<X>(values));
}
template <expression_operand X>
[[nodiscard]] auto minimum_of(X&& values) {
  return reduce(semiring_id::min_plus, std::forward<X>(values));
}
template <expression_operand X>
[[nodiscard]] auto maximum_of(X&& values) {
  return reduce(semiring_id::max_plus, std::forward<X>(values));
}

/// Element g is what `reduce` gives for the members of group g alone, in their order; an empty
/// group gives the semiring's zero.
template <expression_operand X>
[[nodiscard]] auto segment_reduce(semiring_id semiring, X&& values, const segments& groups) {
  using T = expression_value<X>;
  return definition<T>({.kind = definition_data::form::segment_reduce,
                        .semiring = semiring,
                        .steps = expression<T>(std::forward<X>(values)).steps(),
                        .groups = groups.table()});
}

/// Element i is `from[indices[i]]`.
template <element T>
[[nodiscard]] definition<T> gather(array<T> from, std::vector<std::uint32_t> indices) {
  return definition<T>({.kind = definition_data::form::gather,
                        .steps = expression<T>(from).steps(),
                        .indices = std::move(indices)});
}

/// Elements from one row of a fixpoint to the next: `columns`, rounded up to whole lines.
template <element T>
[[nodiscard]] constexpr std::uint64_t fixpoint_stride(std::uint64_t columns) noexcept {
  constexpr std::uint64_t each = line_size / sizeof(T);
  return (columns + each - 1) / each * each;
}

struct fixpoint_options {
  std::uint64_t columns = 1;         ///< elements of a row that mean something
  std::uint32_t iterations_max = 0;  ///< rounds inside one component; 0: its vertices, plus one
};

/// The least x with x_v = base_v + (sum over edges e with to[e] = v of x_from[e] * weight[e]), in
/// the semiring's plus and times: reachability, shortest and widest paths, any analysis that goes
/// round in circles. Row v of `base` and of the result begins at element v * stride, where stride
/// is `fixpoint_stride<T>(columns)`; `base` is as long as its rows, and their number is that of the
/// vertices. Rows go along edges from `from` to `to`; columns do not meet.
///
/// `from`, `to` and `weight` have one element per edge number. An edge does not exist where either
/// end is `no_vertex`, so edges come and go by ordinary commits; nor where it weighs the semiring's
/// zero (but for unsigned max_plus). Without `weight` every edge weighs the semiring's one.
///
/// The semiring's plus must be idempotent and its times monotone: min_plus, max_plus, max_min,
/// or_and, and_or, and max_times on floats. A commit fails with `operator_failed` where an end is
/// no vertex, or a float weight would make times fall where its operand rises (NaN; minus infinity
/// in min_plus; infinity in max_plus; negative or infinite in max_times), and with `not_converged`
/// where a cycle goes on improving (a negative one in min_plus).
///
/// Cost of a commit: O(edges of the rows that change or were suspected to, x lines).
template <element T>
[[nodiscard]] definition<T> fixpoint(semiring_id semiring, array<T> base,
                                     array<std::uint32_t> from, array<std::uint32_t> to,
                                     const fixpoint_options& options = {}) {
  definition_data data{.kind = definition_data::form::fixpoint,
                       .semiring = semiring,
                       .count = static_cast<std::size_t>(options.columns),
                       .iterations_max = options.iterations_max};
  data.steps = expression<T>(base).steps();
  for (const array<std::uint32_t>& ends : {from, to}) {
    data.steps.push_back(expression<std::uint32_t>(ends).steps().front());
  }
  return definition<T>(std::move(data));
}
template <element T>
[[nodiscard]] definition<T> fixpoint(semiring_id semiring, array<T> base,
                                     array<std::uint32_t> from, array<std::uint32_t> to,
                                     array<T> weight, const fixpoint_options& options = {}) {
  definition_data data = fixpoint(semiring, base, from, to, options).data();
  data.steps.push_back(expression<T>(weight).steps().front());
  return definition<T>(std::move(data));
}

/// One operand of a member of a fixpoint group: an array as it is, or a `term`.
template <element T>
class fixpoint_term {
 public:
  fixpoint_term(array<T> value) noexcept {
    data_.value = value.handle();
    data_.weight_one = true;
  }
  fixpoint_term(const term<T>& weighted) noexcept : data_(weighted.data()) {}
  [[nodiscard]] const term_data& data() const noexcept { return data_; }

 private:
  term_data data_;
};

/// A member without its element type: a declared array, and the terms it is the sum of.
struct fixpoint_member_data {
  array_handle array;
  std::vector<term_data> terms;
};

/// A declared array and its definition in a fixpoint group: the semiring's sum of `terms`. A term
/// over another member (or the same) is an array or has a constant weight; other terms are as in
/// `combine`.
template <element T>
class fixpoint_member {
 public:
  fixpoint_member(array<T> declared, std::initializer_list<fixpoint_term<T>> terms)
      : fixpoint_member(declared, std::span<const fixpoint_term<T>>(terms.begin(), terms.size())) {
  }
  fixpoint_member(array<T> declared, std::span<const fixpoint_term<T>> terms)
      : data_{declared.handle(), {}} {
    for (const fixpoint_term<T>& one : terms) data_.terms.push_back(one.data());
  }
  [[nodiscard]] const fixpoint_member_data& data() const noexcept { return data_; }

 private:
  fixpoint_member_data data_;
};

struct fixpoint_group_options {
  std::uint32_t iterations_max = 0;  ///< as in `fixpoint_options`
  bool is_lazy = false;
};

}  // namespace sheaf::inline v0
