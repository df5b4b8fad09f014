#include "expression_compiler.hpp"

#include <algorithm>

namespace sheaf::inline v0 {
namespace {

class compiler {
 public:
  compiler(std::span<const expression_step> steps, dtype result) : steps_(steps) {
    out_.program.result = result;
  }

  result<compiled_expression> run() {
    for (const expression_step& step : steps_) {
      switch (step.kind) {
        case expression_step::form::operand: push_operand(step); break;
        case expression_step::form::constant: push_constant(step); break;
        case expression_step::form::operation: push_operation(step); break;
      }
      if (!fault_.is_ok()) return fault_;
    }
    SHEAF_ASSERT(stack_.size() == 1, "expression-leaves-one-value");
    if (stack_.back() >= operand_ref_begin) copy_whole_value();
    SHEAF_PARANOID(verify(out_.program).is_ok(), "line-program-valid");
    return std::move(out_);
  }

 private:
  void refuse(const char* what, std::size_t limit) {
    if (!fault_.is_ok()) return;
    fault_ = make_status(status_code::too_many, subsystem::graph,
                         "an expression is too large, split it into two arrays",
                         "more than %zu %s", limit, what);
  }

  void push_operand(const expression_step& step) {
    auto& known = out_.operands;
    const auto same = [&](const expression_step& other) {
      return other.array == step.array && other.broadcast == step.broadcast &&
             other.bits == step.bits;
    };
    const auto found = std::find_if(known.begin(), known.end(), same);
    const auto index = static_cast<std::size_t>(found - known.begin());
    if (found == known.end()) {
      if (known.size() == program_operand_count_max) {
        return refuse("operands", program_operand_count_max);
      }
      known.push_back(step);
      out_.program.operand_types.push_back(step.type);
    }
    stack_.push_back(static_cast<value_ref>(operand_ref_begin + index));
  }

  void push_constant(const expression_step& step) {
    auto& known = out_.program.constants;
    const auto found = std::find(known.begin(), known.end(), step.bits);
    const auto index = static_cast<std::size_t>(found - known.begin());
    if (found == known.end()) {
      if (known.size() == constant_count_max) return refuse("constants", constant_count_max);
      known.push_back(step.bits);
    }
    stack_.push_back(static_cast<value_ref>(constant_ref_begin + index));
  }

  void push_operation(const expression_step& step) {
    SHEAF_ASSERT(step.arity >= 1 && step.arity <= 3 && stack_.size() >= step.arity,
                 "expression-steps-balanced");
    const value_ref* taken = stack_.data() + stack_.size() - step.arity;
    instruction made{};
    made.op = step.op;
    made.type = step.type;
    made.a = taken[0];
    made.b = step.arity > 1 ? taken[1] : made.a;
    made.c = step.arity > 2 ? taken[2] : made.a;
    for (unsigned i = 0; i < step.arity; ++i) registers_on_stack_ -= taken[i] < operand_ref_begin;
    stack_.resize(stack_.size() - step.arity);
    if (step.op == opcode::cast) made.from_or_call = source_of_cast(step);
    if (step.op == opcode::call) made.from_or_call = entry_of_call(step);
    write(made);
  }

  std::uint8_t source_of_cast(const expression_step& step) {
    if (size_of(step.from) != size_of(step.type) && fault_.is_ok()) {
      fault_ = make_status(status_code::type_mismatch, subsystem::graph,
                           "a cast between element sizes is not one line program",
                           "from %s to %s", name_of(step.from).data(), name_of(step.type).data());
    }
    return static_cast<std::uint8_t>(step.from);
  }

  std::uint8_t entry_of_call(const expression_step& step) {
    const auto op = static_cast<std::uint32_t>(step.bits);
    out_.uses.push_back({op, 0, static_cast<std::uint8_t>(step.arity), step.type});
    auto& calls = out_.program.calls;
    // An entry stands for one body: one operator on one element type.
    std::size_t index = 0;
    while (index < calls.size() && (calls[index] != op || call_types_[index] != step.type)) ++index;
    if (index == calls.size()) {
      if (index == call_count_max) {
        refuse("different custom operators", call_count_max);
      } else {
        calls.push_back(op);
        call_types_.push_back(step.type);
      }
    }
    return static_cast<std::uint8_t>(index);
  }

  void copy_whole_value() {
    instruction made{};
    made.op = opcode::copy;
    made.type = out_.program.result;
    made.a = made.b = made.c = stack_.back();
    stack_.pop_back();
    write(made);
  }

  void write(instruction made) {
    if (registers_on_stack_ == register_count_max) {
      return refuse("values at once", register_count_max);
    }
    made.destination = static_cast<std::uint8_t>(registers_on_stack_++);
    out_.program.register_count = std::max(
        out_.program.register_count, static_cast<std::uint8_t>(registers_on_stack_));
    out_.program.code.push_back(made);
    stack_.push_back(made.destination);
  }

  static constexpr std::size_t call_count_max = 256;  ///< what `from_or_call` can name

  std::span<const expression_step> steps_;
  std::vector<value_ref> stack_;
  std::vector<dtype> call_types_;  ///< of the entries of the call table
  unsigned registers_on_stack_ = 0;
  compiled_expression out_;
  status fault_;
};

}  // namespace

result<compiled_expression> compile_expression(std::span<const expression_step> steps,
                                               dtype result_type) {
  return compiler(steps, result_type).run();
}

}  // namespace sheaf::inline v0
