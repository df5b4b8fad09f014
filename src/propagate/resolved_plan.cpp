#include <sheaf/graph/operator_registry.hpp>

#include "propagate/operators/rules.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {

void resolve_shape(const plan_operation& op, resolved_operation& out) {
  const unsigned size = size_shift(op.type);
  out.element_shift = line_shift - size;
  out.page_lines = first_lines(lines_of(op.page));
  const std::uint64_t per_page = std::uint64_t{1} << (byte_shift(op.page) - size);
  const std::uint64_t rest = op.length - (op.page_count - 1) * per_page;
  const std::uint64_t per_line = std::uint64_t{1} << out.element_shift;
  out.last_lines = first_lines(static_cast<unsigned>((rest + per_line - 1) >> out.element_shift));
  out.tail_elements = static_cast<std::uint32_t>(rest & (per_line - 1));
  out.tail_line =
      out.tail_elements == 0 ? 64 : static_cast<std::uint32_t>(rest >> out.element_shift);
}

status resolve_program(const plan& graph, const plan_operation& op, const kernel_table& kernels,
                       resolved_operation& out) {
  const line_program& program = graph.programs[op.payload];
  out.program = kernels.program[static_cast<unsigned>(op.type)];
  out.view = program.view();
  if (const int entry = find_in_manifest(program); entry >= 0) {
    out.shape = kernels.manifest[entry].body;
  }
  for (std::size_t entry = 0; entry < program.calls.size(); ++entry) {
    const std::uint32_t call = program.calls[entry];
    dtype type = op.type;  // a `call` instruction names it, the same for all of one entry
    for (const instruction& step : program.code) {
      if (step.op == opcode::call && step.from_or_call == entry) type = step.type;
    }
    step_body body = operator_body(call, type, kernels.set);
    // The scalar body gives the same bits where a build left the wider one out.
    if (body == nullptr) body = operator_body(call, type, isa::scalar);
    if (body == nullptr) {
      const operator_entry known = operator_at(call);
      return make_status(status_code::operator_missing, subsystem::propagate,
                         "a custom operator has no body for this instruction set and type",
                         "%.*s version %u on %.*s for %.*s", static_cast<int>(known.name.size()),
                         known.name.data(), known.version,
                         static_cast<int>(name_of(kernels.set).size()), name_of(kernels.set).data(),
                         static_cast<int>(name_of(type).size()), name_of(type).data());
    }
    out.calls.push_back(body);
  }
  return {};
}

status resolve_operation(const plan& graph, const plan_operation& op, const kernel_table& kernels,
                         resolved_operation& out) {
  const auto ring = static_cast<unsigned>(op.semiring);
  const auto type = static_cast<unsigned>(op.type);
  resolve_shape(op, out);
  out.settle = kernels.settle[type];
  switch (op.kind) {
    case operator_kind::combine:
      out.combine = kernels.combine[ring][type];
      out.weighted = kernels.combine_weighted[ring][type];
      SHEAF_ASSERT(out.combine != nullptr, "plan-operation-has-a-body");
      break;
    case operator_kind::program: return resolve_program(graph, op, kernels, out);
    case operator_kind::fold_lines: out.fold_lines = kernels.fold_lines[ring][type]; break;
    case operator_kind::fold_blocks: out.fold_blocks = kernels.fold_blocks[ring][type]; break;
    default: {
      const operator_rules* rules = rules_of(op.kind);
      return rules->resolve == nullptr ? status() : rules->resolve(graph, op, kernels, out);
    }
  }
  return {};
}

bool is_indexed(const plan_operation& op) noexcept {
  const operator_rules* rules = rules_of(op.kind);
  return rules != nullptr && rules->by_element;
}

}  // namespace

void resolved_plan::find_tracked(const plan& of) {
  tracked_begin.resize(of.sources.size() + of.nodes.size(), no_index);
  for (std::uint32_t i = 0; i < of.eager_node_count; ++i) {
    const plan_operation& op = of.operation_of(of.nodes[i]);
    if (!is_indexed(op)) continue;
    for (std::uint32_t k = 0; k < op.operand_count; ++k) {
      const plan_operand& read = of.operand_details[of.operands[of.nodes[i].operand_begin + k]];
      if (read.producer == no_index) continue;
      std::uint32_t& begin = tracked_begin[read.producer];
      if (begin != no_index) continue;
      begin = static_cast<std::uint32_t>(tracked_lines);
      tracked_lines += std::uint64_t{of.page_count_of(read.producer)} * lines_of(read.page);
      any_tracked_source |= of.is_source(read.producer);
    }
  }
}

result<std::shared_ptr<const resolved_plan>> resolved_plan::resolve(
    std::shared_ptr<const plan> graph, std::shared_ptr<const model_data> model, isa set) {
  auto out = std::make_shared<resolved_plan>();
  out->kernels = kernels_of(set);
  if (out->kernels == nullptr) {
    return status(status_code::unsupported, subsystem::propagate,
                  "this build has no kernels for the instruction set", name_of(set));
  }
  out->operations.resize(graph->operations.size());
  bool any_indexed = false;
  for (std::size_t i = 0; i < graph->operations.size(); ++i) {
    SHEAF_TRY(resolve_operation(*graph, graph->operations[i], *out->kernels, out->operations[i]));
    any_indexed |= is_indexed(graph->operations[i]);
  }
  if (any_indexed) {
    out->indexed_begin.resize(graph->nodes.size(), no_index);
    for (std::size_t i = 0; i < graph->nodes.size(); ++i) {
      const plan_operation& op = graph->operation_of(graph->nodes[i]);
      if (!is_indexed(op)) continue;
      out->indexed_begin[i] = static_cast<std::uint32_t>(out->indexed_lines);
      out->indexed_lines += std::uint64_t{op.page_count} * lines_of(op.page);
    }
  }
  if (any_indexed) out->find_tracked(*graph);
  out->array_of_producer.resize(graph->sources.size() + graph->nodes.size(), no_index);
  for (std::size_t array = 0; array < graph->producer_of_array.size(); ++array) {
    const std::uint32_t producer = graph->producer_of_array[array];
    if (producer != no_index) out->array_of_producer[producer] = static_cast<std::uint32_t>(array);
  }
  out->graph = std::move(graph);
  out->model = std::move(model);
  return std::shared_ptr<const resolved_plan>(std::move(out));
}

}  // namespace sheaf::inline v0
