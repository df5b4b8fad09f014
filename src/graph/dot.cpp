#include "dot.hpp"

#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

std::string escaped(const std::string& text) {
  std::string words;
  for (const char c : text) {
    if (c == '"' || c == '\\') words += '\\';
    if (c == '\n') words += "\\n";
    else words += c;
  }
  return words;
}

std::string style_of(const array_record& array) {
  std::string style = array.kind == array_kind::source ? "shape=box" : "shape=ellipse";
  if (array.lazy) style += ", style=dotted";
  else if (array.kind == array_kind::hidden) style += ", style=dashed";
  return style;
}

/// True where the semiring of the definition is part of what it means.
bool folds(operator_kind kind) {
  switch (kind) {
    case operator_kind::combine:
    case operator_kind::fold_lines:
    case operator_kind::fold_blocks:
    case operator_kind::segment_fold:
    case operator_kind::scan_totals:
    case operator_kind::scan:
    case operator_kind::spmv:
    case operator_kind::stencil:
    case operator_kind::gemv:
    case operator_kind::matmul:
    case operator_kind::fixpoint: return true;
    default: return false;
  }
}

}  // namespace

const char* name_of(operator_kind kind) noexcept {
  switch (kind) {
    case operator_kind::combine: return "combine";
    case operator_kind::program: return "expression";
    case operator_kind::fold_lines: return "fold lines";
    case operator_kind::fold_blocks: return "fold blocks";
    case operator_kind::segment_fold: return "segment fold";
    case operator_kind::gather: return "gather";
    case operator_kind::spmv: return "spmv";
    case operator_kind::stencil: return "stencil";
    case operator_kind::gemv: return "gemv";
    case operator_kind::matmul: return "matmul";
    case operator_kind::scan_totals: return "scan totals";
    case operator_kind::scan: return "scan";
    case operator_kind::cast: return "cast";
    case operator_kind::bin_counts: return "bin counts";
    case operator_kind::row_sums: return "row sums";
    case operator_kind::sorted_runs: return "sorted runs";
    case operator_kind::merged_runs: return "merged runs";
    case operator_kind::gather_at: return "gather at";
    case operator_kind::delay: return "delay";
    case operator_kind::slice: return "lines";
    case operator_kind::fixpoint: return "fixpoint";
    case operator_kind::host: break;
  }
  return "host function";
}

std::string dot_of(const model_data& data) {
  std::string out = "digraph sheaf {\n  rankdir=LR;\n";
  for (std::uint32_t i = 0; i < data.array_count(); ++i) {
    const array_record& array = data.arrays[i];
    out += "  a" + std::to_string(i) + " [label=\"" + escaped(data.name_of(array_id{i})) + "\\n";
    out += name_of(array.type);
    out += '[' + std::to_string(array.length) + ']';
    if (array.definition < refused_definition) {
      const definition_record& definition = data.definitions[array.definition];
      (out += "\\n") += name_of(definition.kind);
      if (folds(definition.kind)) (out += ' ') += name_of(definition.semiring);
    }
    out += "\", " + style_of(array) + "];\n";
  }
  for (const definition_record& definition : data.definitions) {
    const std::string to = " -> a" + std::to_string(definition.result) + ";\n";
    for_each_operand(data, definition, [&](std::uint32_t operand) {
      out += "  a" + std::to_string(operand) + to;
    });
    if (definition.kind != operator_kind::delay) continue;
    out += "  a" + std::to_string(data.delays[definition.payload].array) + " -> a" +
           std::to_string(definition.result) + " [style=dashed, constraint=false];\n";
  }
  return out + "}\n";
}

}  // namespace sheaf::inline v0
