#include <sheaf/graph/line_program.hpp>

#include <sheaf/base/status.hpp>

namespace sheaf::inline v0 {
namespace {

/// Follows which register holds a value of which type.
class verifier {
 public:
  explicit verifier(const line_program& program) noexcept : program_(program) {}

  const char* fault_of_program() const noexcept {
    if (program_.code.empty()) return "no instruction";
    if (program_.register_count > register_count_max) return "too many registers";
    if (program_.operand_types.size() > program_operand_count_max) return "too many operands";
    if (program_.constants.size() > constant_count_max) return "too many constants";
    if (static_cast<unsigned>(program_.result) >= dtype_count) return "no such result type";
    for (const dtype type : program_.operand_types) {
      if (!right_size(type)) return "operand of another element size";
    }
    return nullptr;
  }

  /// Null, or what is wrong with `step`.
  const char* take(const instruction& step) noexcept {
    if (static_cast<unsigned>(step.op) >= opcode_count) return "no such opcode";
    if (!right_size(step.type)) return "result of another element size";
    if (!supports(step.op, step.type)) return "the opcode does not take this type";
    if (step.reserved != 0) return "reserved byte is not zero";
    if (step.destination >= program_.register_count) return "destination is no register";
    if (step.op != opcode::cast && step.op != opcode::call && step.from_or_call != 0) {
      return "an index that the opcode does not use";
    }
    dtype wanted = step.type;
    if (step.op == opcode::cast) {
      wanted = static_cast<dtype>(step.from_or_call);
      if (!right_size(wanted)) return "cast from another element size";
    }
    if (step.op == opcode::call && step.from_or_call >= program_.calls.size()) {
      return "call past the call table";
    }
    for (const value_ref ref : {step.a, step.b, step.c}) {
      if (const char* fault = fault_of(ref, wanted)) return fault;
    }
    const unsigned arity = arity_of(step.op);
    if ((arity < 2 && step.b != step.a) || (arity < 3 && step.c != step.a)) {
      return "an unused value does not repeat the first";
    }
    written_ |= 1u << step.destination;
    types_[step.destination] = step.type;
    return nullptr;
  }

 private:
  bool right_size(dtype type) const noexcept {
    return static_cast<unsigned>(type) < dtype_count &&
           size_shift(type) == size_shift(program_.result);
  }
  const char* fault_of(value_ref ref, dtype wanted) const noexcept {
    if (ref >= constant_ref_begin) {
      const bool inside = ref - constant_ref_begin < program_.constants.size();
      return inside ? nullptr : "constant past its table";
    }
    if (ref >= operand_ref_begin) {
      const std::size_t index = ref - operand_ref_begin;
      if (index >= program_.operand_types.size()) return "operand past its table";
      return program_.operand_types[index] == wanted ? nullptr : "operand of another type";
    }
    if ((written_ >> ref & 1u) == 0) return "reads a register before it is written";
    return types_[ref] == wanted ? nullptr : "register holds another type";
  }

  const line_program& program_;
  std::uint32_t written_ = 0;
  dtype types_[register_count_max] = {};
};
static_assert(register_count_max == 32, "`written_` has one bit per register");

}  // namespace

status verify(const line_program& program) noexcept {
  verifier state(program);
  const char* fault = state.fault_of_program();
  if (fault != nullptr) {
    return {status_code::bad_format, subsystem::graph, "line program is not valid", fault};
  }
  for (std::size_t i = 0; i < program.code.size(); ++i) {
    fault = state.take(program.code[i]);
    if (fault == nullptr) continue;
    return make_status(status_code::bad_format, subsystem::graph, "line program is not valid",
                       "instruction %zu: %s", i, fault);
  }
  if (program.code.back().type != program.result) {
    return {status_code::bad_format, subsystem::graph, "line program is not valid",
            "the last instruction has another type than the result"};
  }
  return {};
}

}  // namespace sheaf::inline v0
