#include "model/graph_rules.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>

#include "model/products.hpp"

namespace model_test {

namespace {

void collect(const formula& f, std::set<std::uint32_t>& found) {
  if (f.array != no_array) found.insert(f.array);
  for (const formula& argument : f.arguments) collect(argument, found);
}

/// A length that nothing tells as yet: of a delay in a loop.
constexpr std::uint64_t unknown = 0;

/// The length that the whole arrays in `f` have together.
struct meeting {
  std::uint64_t length = unknown;
  bool fits = true;
  bool all_known = true;
};
void meet(const formula& f, const std::vector<array_recipe>& arrays, meeting& found) {
  const std::uint64_t length = f.array == no_array ? unknown : arrays[f.array].length;
  if (f.kind == formula::form::array) {
    found.fits &= length <= 1 || found.length <= 1 || length == found.length;
    found.length = std::max(found.length, length);
    found.all_known &= length != unknown;
  }
  if (f.kind == formula::form::element) found.fits &= length == unknown || f.bits < length;
  for (const formula& argument : f.arguments) meet(argument, arrays, found);
}
meeting meeting_of(const array_recipe& recipe, const std::vector<array_recipe>& arrays) {
  meeting found;
  for (const formula& value : recipe.values) meet(value, arrays, found);
  for (const formula& weight : recipe.weights) meet(weight, arrays, found);
  // One element beside something unknown says nothing.
  if (found.length == 1 && !found.all_known) found.length = unknown;
  return found;
}

using maybe_length = std::optional<std::uint64_t>;

maybe_length length_if(bool fits, std::uint64_t length) {
  return fits ? maybe_length(length) : std::nullopt;
}

/// A stencil of one dimension: one row, and no tap leaves it.
bool is_line(const array_recipe& recipe) {
  return recipe.product->columns == recipe.length &&
         std::ranges::all_of(recipe.product->taps, [](const auto& tap) { return tap.row == 0; });
}

maybe_length product_length(const array_recipe& recipe, const std::vector<array_recipe>& arrays) {
  const std::uint64_t first = arrays[recipe.operands[0]].length;
  const std::uint64_t second = arrays[recipe.operands[1]].length;
  const product_recipe& shape = *recipe.product;
  const bool all_known = first != unknown && second != unknown;
  switch (shape.kind) {
    case product_recipe::form::spmv: {
      if (!all_known) return recipe.length;
      const bool inside = std::ranges::all_of(
          shape.indices, [&](std::uint32_t column) { return column < second; });
      return length_if(first == shape.indices.size() && inside, recipe.length);
    }
    case product_recipe::form::gemv:
      if (!all_known) return unknown;
      return length_if(first % second == 0, first / second);
    case product_recipe::form::matmul:
      if (!all_known) return unknown;
      return length_if(first % shape.inner == 0 && second % shape.inner == 0,
                       (first / shape.inner) * (second / shape.inner));
    case product_recipe::form::stencil: break;
  }
  return length_if(is_line(recipe) || first % shape.columns == 0, first);
}

bool members_inside(const array_recipe& recipe, std::uint64_t length) {
  return std::ranges::all_of(recipe.groups->groups, [&](const auto& group) {
    return std::ranges::all_of(group, [&](std::uint32_t member) { return member < length; });
  });
}

/// What takes one expression of `length` and goes by the order of its elements.
maybe_length ordered_length(const array_recipe& recipe, std::uint64_t length) {
  switch (recipe.form) {
    case array_form::scan: return length;
    case array_form::sort_index:
      if (!recipe.exclusive) return length;
      [[fallthrough]];
    case array_form::top_k: return length_if(recipe.length <= length, recipe.length);
    default: return recipe.length;
  }
}

/// A group keeps its length: what comes in from outside must still have it. `before`: the lengths
/// that its reads had; a member that met single elements alone goes on to.
bool circle_fits(const array_recipe& recipe, const std::vector<array_recipe>& arrays,
                 const std::vector<std::uint64_t>& before) {
  const circle_table& table = *recipe.circle;
  const std::vector<std::uint32_t> reads = reads_of(recipe);
  for (std::uint32_t to = 0; to < table.count; ++to) {
    std::uint64_t longest = unknown;
    bool met_whole = false;
    for (const circle_term& term : table.terms) {
      if (term.to != to || term.array >= table.first) continue;
      const auto place = std::ranges::find(reads, term.array) - reads.begin();
      met_whole |= before[static_cast<std::size_t>(place)] == recipe.length;
      const std::uint64_t length = arrays[term.array].length;
      if (length > 1 && length != recipe.length) return false;
      longest = std::max(longest, length);
    }
    if (met_whole && longest != recipe.length) return false;
  }
  return true;
}

/// Over its operands as they are; none where it does not fit.
maybe_length length_over(const std::vector<array_recipe>& arrays, std::uint32_t at) {
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
    case array_form::circle: return recipe.length;  // see circle_fits
    default: return ordered_length(recipe, found.length);
  }
}

/// What a definition forgets as its result gets another length.
void take_length(array_recipe& recipe, std::uint64_t length) {
  if (recipe.form == array_form::scan) {
    if (recipe.groups != nullptr) {
      const auto& ids = recipe.groups->segment_of_element;
      for (std::uint32_t i = 1; i < ids.size(); ++i) {
        if (ids[i] != ids[i - 1]) recipe.starts.push_back(i);
      }
      recipe.groups = nullptr;
    }
    std::erase_if(recipe.starts, [&](std::uint32_t start) { return start >= length; });
  }
  if (recipe.product != nullptr && recipe.product->kind == product_recipe::form::stencil) {
    auto shape = std::make_shared<product_recipe>(*recipe.product);
    if (is_line(recipe)) shape->columns = length;
    shape->length = length;
    recipe.product = std::move(shape);
  }
  recipe.length = length;
}

/// Delays take the length of what they follow; round by round, from what is known without them.
void find_delay_lengths(std::vector<array_recipe>& arrays,
                        std::span<const std::uint32_t> order) {
  std::vector<array_recipe> found = arrays;
  for (array_recipe& recipe : found) {
    if (recipe.form == array_form::delay) recipe.length = unknown;
  }
  // A length goes at least one delay further each round.
  for (std::size_t round = 0; round <= arrays.size(); ++round) {
    bool moved = false;
    for (const std::uint32_t at : order) {
      if (found[at].form == array_form::delay) continue;
      found[at].length = length_over(found, at).value_or(found[at].length);
    }
    for (array_recipe& recipe : found) {
      if (recipe.form != array_form::delay) continue;
      moved |= recipe.length != found[recipe.operands[0]].length;
      recipe.length = found[recipe.operands[0]].length;
    }
    if (!moved) break;
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].form == array_form::delay && found[i].length != unknown) {
      arrays[i].length = found[i].length;
    }
  }
}

}  // namespace

std::vector<std::uint32_t> reads_of(const array_recipe& recipe) {
  if (recipe.form == array_form::delay || recipe.form == array_form::dropped) return {};
  std::set<std::uint32_t> found(recipe.operands.begin(), recipe.operands.end());
  if (recipe.product != nullptr && recipe.product->kind == product_recipe::form::stencil) {
    found = {recipe.operands[0]};
  }
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

std::vector<std::uint64_t> operand_lengths_of(const std::vector<array_recipe>& arrays,
                                              std::uint32_t at) {
  std::vector<std::uint64_t> found;
  for (const std::uint32_t read : reads_of(arrays[at])) found.push_back(arrays[read].length);
  return found;
}

bool follow_lengths(std::vector<array_recipe>& arrays, operand_lengths& known) {
  const std::vector<std::uint32_t> order = order_of(arrays);
  known.resize(arrays.size());
  find_delay_lengths(arrays, order);
  for (const std::uint32_t at : order) {
    std::vector<std::uint64_t> now = operand_lengths_of(arrays, at);
    if (now == known[at]) continue;
    maybe_length length = length_over(arrays, at);
    const bool is_circle = arrays[at].form == array_form::circle;
    if (is_circle && !circle_fits(arrays[at], arrays, known[at])) length = std::nullopt;
    if (!length && std::getenv("SHEAF_MODEL_TRACE") != nullptr) {
      std::fprintf(stderr, "    #%u does not fit\n", at);
    }
    if (!length) return false;
    take_length(arrays[at], *length);
    known[at] = std::move(now);
  }
  // A loop that nothing gives a length may have none that fits.
  return std::ranges::all_of(arrays, [&](const array_recipe& recipe) {
    return recipe.form != array_form::delay ||
           recipe.length == arrays[recipe.operands[0]].length;
  });
}

}  // namespace model_test
