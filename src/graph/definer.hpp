/// \file
/// Turns one definition into records of the model: checks every operand, adds hidden arrays where a
/// definition has inner steps, and decides length, page class and level of the result.
///
/// A definition that is refused leaves its array as it was, marked `refused_definition`, with one
/// mistake noted for each fault found; what reads such an array is not reported again.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>

#include <sheaf/graph/array.hpp>
#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/host_function.hpp>

#include "declaration_state.hpp"

namespace sheaf::inline v0 {

class definer {
 public:
  /// For the array `result` of the model in `state`. `length_known`: it was declared with a length
  /// and a page class; otherwise both follow from the operands, or `page`.
  definer(declaration_state& state, std::uint32_t result, bool length_known,
          std::optional<page_class> page);

  void define(const definition_data& computed);
  void define_host(std::span<const any_array> operands, host_function&& function);

  // Operands have other lengths than when the array was defined (follow_lengths.cpp).

  /// Element by element, over the operands of `before`. Returns true where an operand met the
  /// result in another way before.
  bool follow_aligned(const definition_record& before);
  /// A reduction of `operand`, over the inner arrays it has as far as they serve. Returns true
  /// where the result reads another one now.
  bool follow_fold(std::uint32_t operand, semiring_id semiring,
                   std::span<const std::uint32_t> partials);
  /// One step over the operands of `before`.
  void follow_step(const definition_record& before, std::uint64_t length, std::uint32_t payload);
  // Made of several steps, all of them anew; `payload` of the last, `operand` what they are over.
  void follow_scan(semiring_id semiring, std::uint32_t payload, std::uint32_t operand);
  void follow_histogram(std::uint32_t payload, std::uint32_t operand);
  void follow_order(const order_record& before, std::uint32_t operand, bool gathers);
  // For the groups of `define_fixpoint_group`.
  /// A hidden array that is the sum of `terms`; no_index after noting a mistake.
  std::uint32_t define_outside(semiring_id semiring, std::span<const term_data> terms);
  /// A hidden array of all rows: a fixpoint of `shape` over `bases`.
  std::uint32_t define_rows(semiring_id semiring, fixpoint_shape&& shape,
                            std::span<const std::uint32_t> bases);
  /// The array itself: lines of `from`, from `first_line` on.
  void define_slice(std::uint32_t from, std::uint32_t first_line);
  /// Notes what is wrong with a semiring for a fixpoint.
  bool check_fixpoint_semiring(semiring_id semiring);
  void refuse(const status& mistake);
  void refuse_silently();

 private:
  /// A whole step of a reduction: `kind` over all of `operand`.
  void define_fold(operator_kind kind, semiring_id semiring, std::uint32_t operand,
                   std::uint64_t length, std::uint32_t payload);
  void combine_arrays(const definition_data& computed);
  void combine_general(const definition_data& computed);
  void combine_terms(const definition_data& computed);
  /// One step over whole arrays; `operands` are of this model.
  void define_step(operator_kind kind, semiring_id semiring,
                   std::initializer_list<std::uint32_t> operands, std::uint64_t length,
                   std::uint32_t payload);
  /// The same as the definition of a new hidden array of `type`, which is returned.
  std::uint32_t hidden_step(operator_kind kind, semiring_id semiring, dtype type,
                            std::initializer_list<std::uint32_t> operands, std::uint64_t length,
                            std::uint32_t payload);
  void define_program(std::vector<expression_step> steps);
  /// Defines the result as a cast between sizes where that is what `steps` end with.
  bool define_as_cast(const std::vector<expression_step>& steps);
  /// Puts arrays in place of casts between sizes. False after noting a mistake.
  bool split_casts(std::vector<expression_step>& steps);
  expression_step operand_step(std::uint32_t array) const;
  void define_reduce(const definition_data& computed);
  void define_segments(const definition_data& computed);
  void define_gather(const definition_data& computed);
  void define_spmv(const definition_data& computed);
  void define_stencil(const definition_data& computed);
  void define_gemv(const definition_data& computed);
  void define_matmul(const definition_data& computed);
  void define_histogram(const definition_data& computed);
  void define_sort(const definition_data& computed);
  void define_top(const definition_data& computed);
  std::uint32_t order_steps(const definition_data& computed, std::uint32_t operand,
                            bool as_hidden);
  void define_gather_at(const definition_data& computed);
  void gather_step(std::uint32_t operand, std::uint32_t indices);
  void define_delay(const definition_data& computed);
  void define_scan(const definition_data& computed);
  void scan_steps(semiring_id semiring, bool exclusive, std::uint32_t operand,
                  std::vector<std::uint64_t>&& heads);
  void histogram_steps(std::uint32_t operand, std::uint32_t payload);
  /// Hidden arrays get numbers behind that of `operand`, where it is one of them.
  void number_from(std::uint32_t operand);
  /// Which elements of `operand` begin a segment; false after noting a mistake.
  bool scan_heads(const definition_data& computed, std::uint32_t operand,
                  std::vector<std::uint64_t>& heads);
  std::uint32_t add_scan(scan_data&& made);
  /// The groups are without mistake and name elements of `operand`. False after noting why not.
  bool members_fit(const segment_table& groups, std::uint32_t operand);
  void define_fixpoint(const definition_data& computed);
  bool fixpoint_shape_fits(const definition_data& computed);
  definition_record fixpoint_record(semiring_id semiring, std::uint32_t payload) const;

  bool is_plain(const array_handle& handle) const;
  /// The operand's array, or no_index after noting why it cannot be one.
  std::uint32_t admit(const array_handle& handle, dtype type);
  std::uint32_t admit_element(const array_handle& handle, dtype type, std::uint64_t index);
  /// Adds an operand to scratch.
  void take(const array_handle& handle, dtype type, bool broadcast, std::uint64_t index);
  /// The array that `steps` name, or a hidden one that computes them; no_index if refused.
  std::uint32_t whole_operand(const std::vector<expression_step>& steps, dtype type);
  std::uint32_t whole_operand(const std::vector<expression_step>& steps) {
    return whole_operand(steps, type_);
  }
  std::uint32_t add_hidden(std::uint64_t length, dtype type);
  std::uint32_t add_hidden(std::uint64_t length) { return add_hidden(length, type_); }
  /// Takes whole arrays as the operands. False after noting what is wrong with them.
  bool take_operands(std::span<const array_handle> operands);
  /// True where operand number `operand` has `wanted` elements: `why` says of what. Else notes it.
  bool has_length(std::size_t operand, std::uint64_t wanted, const char* why);
  /// True where the length of an operand is a multiple of `inner`. Else notes it: `what` is wrong.
  bool divides(std::uint64_t inner, std::size_t operand, const char* what);
  void settle_dense(operator_kind kind, semiring_id semiring, const dense_shape& shape);
  void note_uses(std::vector<operator_use>&& uses);
  const known_segments& segments_of(const std::shared_ptr<const segment_table>& groups,
                                    std::uint64_t operand_length);

  bool semiring_fits(semiring_id semiring);
  /// Length of the result over the operands in scratch; 1-element operands become broadcasts. False
  /// after noting a mismatch.
  bool meet_lengths(std::uint64_t& length);
  /// A definition of the result; `settle` fills in its operands.
  [[nodiscard]] definition_record of_kind(operator_kind kind, semiring_id semiring,
                                          std::uint32_t payload, bool weighted = false) const;
  /// Stores a definition over the operands in scratch; `aligned`: they meet it element by element.
  void settle(definition_record made, std::uint64_t length, bool aligned);
  /// Fixes length and page class of the result. False after noting why that fails.
  bool shape_result(std::uint64_t length, std::optional<page_class> from_operands);
  void store(definition_record made, std::uint32_t level);

  array_record& record() { return data_.arrays[result_]; }
  std::string name() const { return data_.name_of(array_id{result_}); }

  declaration_state& state_;
  model_data& data_;
  const std::uint32_t result_;
  const dtype type_;
  const bool length_known_;
  const std::optional<page_class> page_;
  bool refused_ = false;
  std::uint32_t hidden_count_ = 0;
};

/// Defines the arrays of `members`, which are declared, of one element type and not yet defined, as
/// one fixpoint. A group with a mistake in it is refused as a whole.
void define_fixpoint_group(declaration_state& state, semiring_id semiring,
                           std::span<const fixpoint_member_data> members,
                           const fixpoint_group_options& options);

}  // namespace sheaf::inline v0
