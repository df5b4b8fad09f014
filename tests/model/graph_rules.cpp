#include "model/graph_rules.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "model/products.hpp"

namespace model_test {

namespace {

void collect(const formula& f, std::set<std::uint32_t>& found) {
  if (f.array != no_array) found.insert(f.array);
  for (const formula& argument : f.arguments) collect(argument, found);
}

/// The length that the whole arrays in `f` have together; nothing where they do not meet.
struct meeting {
  std::uint64_t length = 1;
  bool fits = true;
  bool casts_size = false;
};
void meet(const formula& f, const std::vector<array_recipe>& arrays, meeting& found) {
  if (f.kind == formula::form::array) {
    const std::uint64_t length = arrays[f.array].length;
    found.fits &= length == 1 || found.length == 1 || length == found.length;
    found.length = std::max(found.length, length);
  }
  if (f.kind == formula::form::element) found.fits &= f.bits < arrays[f.array].length;
  if (f.op == sheaf::opcode::cast && f.kind == formula::form::operation) {
    found.casts_size |= sheaf::size_of(f.type) != sheaf::size_of(f.arguments[0].type);
  }
  for (const formula& argument : f.arguments) meet(argument, arrays, found);
}
meeting meeting_of(const array_recipe& recipe, const std::vector<array_recipe>& arrays) {
  meeting found;
  for (const formula& value : recipe.values) meet(value, arrays, found);
  for (const formula& weight : recipe.weights) meet(weight, arrays, found);
  return found;
}

using maybe_length = std::optional<std::uint64_t>;

maybe_length length_if(bool fits, std::uint64_t length) {
  return fits ? maybe_length(length) : std::nullopt;
}

maybe_length product_length(const array_recipe& recipe, const std::vector<array_recipe>& arrays) {
  const std::uint64_t first = arrays[recipe.operands[0]].length;
  const std::uint64_t second = arrays[recipe.operands[1]].length;
  const product_recipe& shape = *recipe.product;
  switch (shape.kind) {
    case product_recipe::form::spmv:
      return length_if(first == shape.indices.size() && second == shape.columns, recipe.length);
    case product_recipe::form::gemv: return length_if(first % second == 0, first / second);
    case product_recipe::form::matmul:
      return length_if(first % shape.inner == 0 && second % shape.inner == 0,
                       (first / shape.inner) * (second / shape.inner));
    case product_recipe::form::stencil: break;
  }
  return length_if(shape.columns == recipe.length || first % shape.columns == 0, first);
}

bool members_inside(const array_recipe& recipe, std::uint64_t length) {
  return std::ranges::all_of(recipe.groups->groups, [&](const auto& group) {
    return std::ranges::all_of(group, [&](std::uint32_t member) { return member < length; });
  });
}

/// What takes one expression of `length` and goes by the order of its elements.
maybe_length ordered_length(const array_recipe& recipe, std::uint64_t length) {
  switch (recipe.form) {
    case array_form::scan:
      return length_if(
          std::ranges::all_of(recipe.starts, [&](auto start) { return start < length; }) &&
              (recipe.groups == nullptr || recipe.groups->segment_of_element.size() == length),
          length);
    case array_form::sort_index:
      if (!recipe.exclusive) return length;
      [[fallthrough]];
    case array_form::top_k: return length_if(recipe.length <= length, recipe.length);
    default: return recipe.length;
  }
}

maybe_length circle_length(const array_recipe& recipe, const std::vector<array_recipe>& arrays) {
  std::uint64_t length = 1;
  for (const std::uint32_t read : reads_of(recipe)) {
    const std::uint64_t one = arrays[read].length;
    if (one != 1 && length != 1 && one != length) return std::nullopt;
    length = std::max(length, one);
  }
  return length;
}

}  // namespace

std::vector<std::uint32_t> reads_of(const array_recipe& recipe) {
  if (recipe.form == array_form::delay || recipe.form == array_form::dropped) return {};
  std::set<std::uint32_t> found(recipe.operands.begin(), recipe.operands.end());
  for (const formula& value : recipe.values) collect(value, found);
  for (const formula& weight : recipe.weights) collect(weight, found);
  if (recipe.circle != nullptr) {
    for (const circle_term& term : recipe.circle->terms) {
      if (term.array < recipe.circle->first) found.insert(term.array);
    }
  }
  return {found.begin(), found.end()};
}

std::vector<std::uint32_t> needs_of(const array_recipe& recipe) {
  if (recipe.form == array_form::delay) return recipe.operands;
  return reads_of(recipe);
}

std::vector<std::uint32_t> order_of(const std::vector<array_recipe>& arrays) {
  std::vector<std::uint32_t> order;
  std::vector<bool> seen(arrays.size(), false);
  const std::function<void(std::uint32_t)> visit = [&](std::uint32_t at) {
    if (seen[at] || arrays[at].form == array_form::dropped) return;
    seen[at] = true;
    for (const std::uint32_t read : reads_of(arrays[at])) visit(read);
    order.push_back(at);
  };
  for (std::uint32_t at = 0; at < arrays.size(); ++at) visit(at);
  return order;
}

std::vector<bool> reached_from(const std::vector<array_recipe>& arrays, std::uint32_t from) {
  std::vector<bool> reached(arrays.size(), false);
  reached[from] = true;
  for (const std::uint32_t at : order_of(arrays)) {
    for (const std::uint32_t read : reads_of(arrays[at])) {
      if (reached[read]) reached[at] = true;
    }
  }
  return reached;
}

std::optional<std::uint64_t> length_over(const std::vector<array_recipe>& arrays,
                                         std::uint32_t at) {
  const array_recipe& recipe = arrays[at];
  const meeting found = meeting_of(recipe, arrays);
  if (!found.fits) return std::nullopt;
  switch (recipe.form) {
    case array_form::source:
    case array_form::dropped:
    case array_form::reduce:
    case array_form::host: return recipe.length;
    case array_form::expression:
    case array_form::combine:
    case array_form::combine_terms: return found.length;
    case array_form::segment_reduce:
      return length_if(members_inside(recipe, found.length), recipe.length);
    case array_form::gather: {
      const std::uint64_t length = arrays[recipe.operands[0]].length;
      return length_if(
          std::ranges::all_of(recipe.indices, [&](auto index) { return index < length; }),
          recipe.length);
    }
    case array_form::product: return product_length(recipe, arrays);
    case array_form::gather_at: return arrays[recipe.operands[1]].length;
    case array_form::delay: return arrays[recipe.operands[0]].length;
    case array_form::circle: return circle_length(recipe, arrays);
    default: return ordered_length(recipe, found.length);
  }
}

bool follows(const std::vector<array_recipe>& arrays, std::uint32_t at) {
  const array_recipe& recipe = arrays[at];
  switch (recipe.form) {
    case array_form::source:
    case array_form::host: return true;
    case array_form::expression:
    case array_form::combine:
    case array_form::combine_terms:
    case array_form::reduce:
    case array_form::segment_reduce:
    case array_form::gather: return !meeting_of(recipe, arrays).casts_size;
    default: return false;
  }
}

}  // namespace model_test
