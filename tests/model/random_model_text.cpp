/// \file
/// A random model in words, for the report of a failure.
#include <string>

#include "model/products.hpp"
#include "model/random_model.hpp"

namespace model_test {

namespace {

std::string text_of(const formula& f) {
  switch (f.kind) {
    case formula::form::array: return "#" + std::to_string(f.array);
    case formula::form::element:
      return "#" + std::to_string(f.array) + "[" + std::to_string(f.bits) + "]";
    case formula::form::constant: return "bits " + std::to_string(f.bits);
    case formula::form::operation: break;
  }
  std::string out = "op" + std::to_string(static_cast<unsigned>(f.op)) + ":" +
                    std::string(name_of(f.type)) + "(";
  for (const formula& argument : f.arguments) out += text_of(argument) + ", ";
  return out + ")";
}

}  // namespace

std::string describe(const std::vector<array_recipe>& arrays) {
  constexpr const char* forms[] = {"source", "expression", "combine", "combine_terms",
                                   "reduce", "segment_reduce", "gather", "host", "product", "scan",
                                   "histogram", "sort_index", "top_k", "gather_at", "delay",
                                   "circle", "dropped"};
  std::string out;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const array_recipe& a = arrays[i];
    out += "#" + std::to_string(i) + " '" + a.name + "' " + std::string(name_of(a.type)) + " x " +
           std::to_string(a.length) + " " + forms[static_cast<unsigned>(a.form)];
    if (a.page) out += " pages of class " + std::to_string(static_cast<unsigned>(*a.page));
    if (a.lazy) out += " lazy";
    if (a.declared_first) out += " declared first";
    if (a.form != array_form::source && a.form != array_form::expression) {
      out += " " + std::string(name_of(a.semiring));
    }
    for (const formula& value : a.values) out += " " + text_of(value);
    if (!a.weights.empty()) out += " weights";
    for (const formula& weight : a.weights) out += " " + text_of(weight);
    for (const std::uint32_t start : a.starts) out += " start " + std::to_string(start);
    if (a.exclusive) out += " exclusive";
    if (a.descending) out += " descending";
    if (a.circle != nullptr) {
      for (const circle_term& term : a.circle->terms) {
        if (term.to != i - a.circle->first) continue;
        out += " #" + std::to_string(term.array);
        if (!term.is_plain) out += " weight bits " + std::to_string(term.weight_bits);
      }
    }
    for (const std::uint32_t operand : a.operands) out += " #" + std::to_string(operand);
    out += "\n";
  }
  return out;
}

}  // namespace model_test
