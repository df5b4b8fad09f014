/// \file
/// Makes the definitions anew whose operands have other lengths than before: see
/// follow_lengths.cpp for the rules of each kind.
///
/// Thread safety: none; the model's. Cost: O(model), and what each kind that follows says.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "declaration_state.hpp"

namespace sheaf::inline v0 {

class length_follower {
 public:
  explicit length_follower(declaration_state& state) : state_(state) {}

  void run();

 private:
  /// A definition of several steps: a scan, a histogram, a sort.
  struct step_chain {
    std::uint32_t owner = no_index;      ///< the array it defines
    std::uint32_t operand = no_index;    ///< what the first step is over
    std::vector<std::uint32_t> hidden;   ///< inner arrays of the steps
  };

  model_data& data() { return *state_.data; }
  std::uint64_t length_of(std::uint32_t array) { return data().arrays[array].length; }
  bool has_moved(std::uint32_t array);
  /// Results of definitions, operands first. Those on cycles are left out.
  std::vector<std::uint32_t> in_order();
  void stick(std::uint32_t array, const status& why);
  /// The name the host knows it by.
  std::string shown(std::uint32_t array);
  /// Of an operand: where it is an inner array, the one with a name whose length it follows.
  std::string shown_operand(std::uint32_t array);
  model_operand operand_of(const definition_record& made, std::uint32_t which);
  std::uint32_t operand_array(const definition_record& made, std::uint32_t which) {
    return operand_of(made, which).array;
  }
  /// The definition of `array` is taken back, its inner arrays stay.
  void forget(std::uint32_t array);

  void follow(std::uint32_t index, const definition_record& made);
  void refuse(const definition_record& made);
  void follow_aligned(const definition_record& made);
  status fault_of_lengths(const definition_record& made);
  void follow_fold(const definition_record& made);
  void follow_table(std::uint32_t index, const definition_record& made);

  // follow_steps.cpp
  void follow_step(const definition_record& made, std::uint64_t length, std::uint32_t payload,
                   bool whole);
  void follow_stencil(const definition_record& made);
  void follow_spmv(const definition_record& made);
  void follow_gemv(const definition_record& made);
  void follow_matmul(const definition_record& made);
  void follow_fixpoint(const definition_record& made);
  void follow_gather_at(const definition_record& made);
  void follow_chain(const definition_record& made);
  step_chain chain_of(const definition_record& made);
  status fault_of_order(const order_record& before, const step_chain& chain);
  std::uint32_t dense_payload(const dense_shape& shape);
  status uneven(const definition_record& made, std::uint32_t operand, std::uint64_t inner,
                const char* what);

  declaration_state& state_;
  std::set<std::uint32_t> redone_;  ///< arrays of several steps that have followed as a whole
  /// Tables made for other operand lengths, by the table before and the length.
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> tables_;
};

}  // namespace sheaf::inline v0
