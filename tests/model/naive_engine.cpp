#include "model/naive_engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/algebra/scalar.hpp>
#include <sheaf/algebra/scan_order.hpp>

#include "graph/operate.hpp"
#include "model/graph_rules.hpp"
#include "model/products.hpp"

namespace model_test {

namespace {

using sheaf::merge_operator;
using sheaf::opcode;

template <element T>
std::vector<T> elements_of(const column& bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

/// The store: the one place where a NaN becomes canonical.
template <element T>
column stored(const std::vector<T>& values) {
  column out(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T value = sheaf::canonical(values[i]);
    std::memcpy(out.data() + i * sizeof(T), &value, sizeof(T));
  }
  return out;
}

template <element T>
T element_from(std::uint64_t bits) {
  return sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(bits));
}

/// The value of `f` at `length` places; an array of one element meets all of them.
template <element T>
std::vector<T> evaluate(const formula& f, std::uint64_t length, const std::vector<column>& arrays) {
  switch (f.kind) {
    case formula::form::array: {
      std::vector<T> out = elements_of<T>(arrays[f.array]);
      if (out.size() == 1) out.resize(length, out[0]);
      return out;
    }
    case formula::form::element:
      return std::vector<T>(length, elements_of<T>(arrays[f.array])[f.bits]);
    case formula::form::constant: return std::vector<T>(length, element_from<T>(f.bits));
    case formula::form::operation: break;
  }
  if (f.op == opcode::cast) {
    return sheaf::visit_dtype(f.arguments[0].type, [&]<class From>(std::type_identity<From>) {
      std::vector<T> out;
      for (const From value : evaluate<From>(f.arguments[0], length, arrays)) {
        out.push_back(sheaf::cast<T>(value));
      }
      return out;
    });
  }
  std::vector<std::vector<T>> in;
  for (const formula& argument : f.arguments) in.push_back(evaluate<T>(argument, length, arrays));
  const std::vector<T>& b = in.size() > 1 ? in[1] : in[0];
  const std::vector<T>& c = in.size() > 2 ? in[2] : in[0];
  std::vector<T> out(length);
  for (std::size_t i = 0; i < length; ++i) out[i] = graph_test::operate(f.op, in[0][i], b[i], c[i]);
  return out;
}

/// Calls `visitor` with the semiring `id`, which is defined on `T`.
template <element T, class Visitor>
void with_semiring(sheaf::semiring_id id, Visitor&& visitor) {
  sheaf::visit_semiring(id, [&]<class S>(S) {
    if constexpr (sheaf::semiring<S, T>) visitor(S{});
  });
}

template <element T>
column combine(const array_recipe& recipe, const std::vector<column>& arrays) {
  std::vector<std::vector<T>> values;
  std::vector<std::vector<T>> weights;
  for (const formula& f : recipe.values) values.push_back(evaluate<T>(f, recipe.length, arrays));
  for (const formula& f : recipe.weights) weights.push_back(evaluate<T>(f, recipe.length, arrays));
  std::vector<T> out(recipe.length);
  std::vector<T> terms(values.size());
  std::vector<T> factors(weights.size());
  with_semiring<T>(recipe.semiring, [&]<class S>(S) {
    for (std::size_t i = 0; i < recipe.length; ++i) {
      for (std::size_t k = 0; k < values.size(); ++k) terms[k] = values[k][i];
      for (std::size_t k = 0; k < weights.size(); ++k) factors[k] = weights[k][i];
      const std::span<const T> all(terms);
      out[i] = weights.empty() ? sheaf::fold_left<S>(all)
                               : sheaf::fold_left<S>(all, std::span<const T>(factors));
    }
  });
  return stored(out);
}

/// As long as the longest array in `f`.
std::uint64_t length_of(const formula& f, const std::vector<column>& arrays) {
  std::uint64_t length = 1;
  if (f.kind == formula::form::array) length = arrays[f.array].size() / sheaf::size_of(f.type);
  for (const formula& argument : f.arguments) {
    length = std::max(length, length_of(argument, arrays));
  }
  return length;
}

template <element T>
column fold(const array_recipe& recipe, const std::vector<column>& arrays) {
  const formula& f = recipe.values[0];
  std::vector<T> in = evaluate<T>(f, length_of(f, arrays), arrays);
  // An expression is an array of its own, with its own store; an array is taken as it is.
  if (f.kind != formula::form::array) in = elements_of<T>(stored(in));
  std::vector<T> out(recipe.length);
  with_semiring<T>(recipe.semiring, [&]<class S>(S) {
    if (recipe.form == array_form::reduce) {
      out[0] = sheaf::fold_tree<S>(std::span<const T>(in));
      return;
    }
    for (std::size_t g = 0; g < recipe.length; ++g) {
      std::vector<T> members;
      for (const std::uint32_t member : recipe.groups->groups[g]) members.push_back(in[member]);
      out[g] = members.empty() ? S::template zero<T>()
                               : sheaf::fold_tree<S>(std::span<const T>(members));
    }
  });
  return stored(out);
}

template <element T>
column gather(const array_recipe& recipe, const std::vector<column>& arrays) {
  const std::vector<T> in = elements_of<T>(arrays[recipe.operands[0]]);
  std::vector<T> out;
  for (const std::uint32_t index : recipe.indices) out.push_back(in[index]);
  return stored(out);
}

template <element T>
column product(const array_recipe& recipe, const std::vector<column>& arrays) {
  return stored(compute_product(*recipe.product, recipe.semiring,
                                elements_of<T>(arrays[recipe.operands[0]]),
                                elements_of<T>(arrays[recipe.operands[1]])));
}

/// The operand of a form that takes one array or expression, as its own store leaves it.
template <element T>
std::vector<T> whole_operand(const formula& f, const std::vector<column>& arrays) {
  const std::vector<T> in = evaluate<T>(f, length_of(f, arrays), arrays);
  return f.kind == formula::form::array ? in : elements_of<T>(stored(in));
}

template <element T>
column scan(const array_recipe& recipe, const std::vector<column>& arrays) {
  const std::vector<T> in = whole_operand<T>(recipe.values[0], arrays);
  std::vector<bool> heads(in.size(), false);
  for (const std::uint32_t start : recipe.starts) heads[start] = true;
  if (recipe.groups != nullptr) {
    const auto& ids = recipe.groups->segment_of_element;
    for (std::size_t i = 1; i < ids.size(); ++i) heads[i] = heads[i] || ids[i] != ids[i - 1];
  }
  column out;
  with_semiring<T>(recipe.semiring, [&]<class S>(S) {
    out = stored(sheaf::scan_in_order<S>(std::span<const T>(in), heads, recipe.exclusive));
  });
  return out;
}

/// Counts by asking every bin for every value.
template <element T>
std::vector<std::uint64_t> histogram(const array_recipe& recipe,
                                     const std::vector<column>& arrays) {
  std::vector<T> edges;
  for (const std::uint64_t bits : recipe.edges) edges.push_back(element_from<T>(bits));
  std::vector<std::uint64_t> bins(edges.size() - 1, 0);
  for (const T value : whole_operand<T>(recipe.values[0], arrays)) {
    if (recipe.clamp && value < edges.front()) ++bins.front();
    if (recipe.clamp && value >= edges.back()) ++bins.back();
    for (std::size_t b = 0; b < bins.size(); ++b) {
      if (edges[b] <= value && value < edges[b + 1]) ++bins[b];
    }
  }
  return bins;
}

/// Indices in order: NaNs last, -0 before +0, equal values by index.
template <element T>
std::vector<std::uint32_t> sorted(const std::vector<T>& values, bool descending) {
  std::vector<std::uint32_t> out(values.size());
  std::iota(out.begin(), out.end(), 0u);
  const auto below = [](T x, T y) {
    if constexpr (sheaf::float_element<T>) {
      if (x == y) return std::signbit(x) && !std::signbit(y);
    }
    return x < y;
  };
  std::stable_sort(out.begin(), out.end(), [&](std::uint32_t i, std::uint32_t j) {
    const T x = values[i];
    const T y = values[j];
    if (x != x || y != y) return x == x && y != y;
    return descending ? below(y, x) : below(x, y);
  });
  return out;
}

/// histogram and sort_index: the result has another type than what it is made of.
column counts_or_indices(const array_recipe& recipe, const std::vector<column>& arrays) {
  const formula& f = recipe.values[0];
  return sheaf::visit_dtype(f.type, [&]<class T>(std::type_identity<T>) {
    if (recipe.form == array_form::histogram) {
      const std::vector<std::uint64_t> bins = histogram<T>(recipe, arrays);
      if (recipe.type == dtype::u64) return stored(bins);
      return stored(std::vector<std::uint32_t>(bins.begin(), bins.end()));
    }
    std::vector<std::uint32_t> out = sorted(whole_operand<T>(f, arrays), recipe.descending);
    out.resize(recipe.length);
    return stored(out);
  });
}

template <element T>
column top(const array_recipe& recipe, const std::vector<column>& arrays) {
  const std::vector<T> in = whole_operand<T>(recipe.values[0], arrays);
  std::vector<T> out;
  for (const std::uint32_t index : sorted(in, recipe.descending)) out.push_back(in[index]);
  out.resize(recipe.length);
  return stored(out);
}

template <element T>
column gather_at(const array_recipe& recipe, const std::vector<column>& arrays) {
  const std::vector<T> in = elements_of<T>(arrays[recipe.operands[0]]);
  std::vector<T> out;
  for (const std::uint32_t index : elements_of<std::uint32_t>(arrays[recipe.operands[1]])) {
    out.push_back(index < in.size() ? in[index] : T{});
  }
  return stored(out);
}

/// All members at once: from zero, every term again, until nothing changes.
template <element T>
std::vector<column> circle(const array_recipe& recipe, const std::vector<column>& arrays) {
  const circle_table& table = *recipe.circle;
  std::vector<column> into(table.count);
  with_semiring<T>(recipe.semiring, [&]<class S>(S) {
    std::vector<std::vector<T>> rows(
        table.count, std::vector<T>(recipe.length, S::template zero<T>()));
    for (bool changed = true; changed;) {
      changed = false;
      for (const circle_term& term : table.terms) {
        const bool inside = term.array >= table.first;
        const bool no_zero =
            recipe.semiring == sheaf::semiring_id::max_plus && std::is_unsigned_v<T>;
        if (inside && !term.is_plain && !no_zero &&
            element_from<T>(term.weight_bits) == S::template zero<T>()) {
          continue;  // an edge of weight zero is none
        }
        const std::vector<T> values =
            inside ? rows[term.array - table.first] : elements_of<T>(arrays[term.array]);
        for (std::uint64_t i = 0; i < recipe.length; ++i) {
          const T value = values[values.size() == 1 ? 0 : i];
          const T gives =
              term.is_plain ? value : S::times(value, element_from<T>(term.weight_bits));
          T& value_now = rows[term.to][i];
          const T sum = sheaf::canonical(S::plus(value_now, gives));
          changed |= sheaf::to_bits(sum) != sheaf::to_bits(value_now);
          value_now = sum;
        }
      }
    }
    for (std::uint32_t k = 0; k < table.count; ++k) into[k] = stored(rows[k]);
  });
  return into;
}

column host(const array_recipe& recipe, const std::vector<array_recipe>& recipes,
            const std::vector<column>& arrays) {
  std::vector<sheaf::host_operand> operands;
  for (const std::uint32_t array : recipe.operands) {
    operands.push_back({arrays[array].data(), recipes[array].length, recipes[array].type});
  }
  const column raw = host_rule(recipe.type, recipe.length, operands);
  return sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
    return stored(elements_of<T>(raw));
  });
}

/// In `order`, each behind what it reads.
void recompute(const std::vector<array_recipe>& recipes, std::span<const std::uint32_t> order,
               std::vector<column>& arrays) {
  std::map<const circle_table*, std::vector<column>> circles;
  for (const std::uint32_t i : order) {
    const array_recipe& recipe = recipes[i];
    sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
      switch (recipe.form) {
        case array_form::source:
        case array_form::dropped:
        case array_form::delay: break;
        case array_form::expression:
          arrays[i] = stored(evaluate<T>(recipe.values[0], recipe.length, arrays));
          break;
        case array_form::combine:
        case array_form::combine_terms: arrays[i] = combine<T>(recipe, arrays); break;
        case array_form::reduce:
        case array_form::segment_reduce: arrays[i] = fold<T>(recipe, arrays); break;
        case array_form::gather: arrays[i] = gather<T>(recipe, arrays); break;
        case array_form::product: arrays[i] = product<T>(recipe, arrays); break;
        case array_form::host: arrays[i] = host(recipe, recipes, arrays); break;
        case array_form::scan: arrays[i] = scan<T>(recipe, arrays); break;
        case array_form::histogram:
        case array_form::sort_index: arrays[i] = counts_or_indices(recipe, arrays); break;
        case array_form::top_k: arrays[i] = top<T>(recipe, arrays); break;
        case array_form::gather_at: arrays[i] = gather_at<T>(recipe, arrays); break;
        case array_form::circle: {
          std::vector<column>& rows = circles[recipe.circle.get()];
          if (rows.empty()) rows = circle<T>(recipe, arrays);
          arrays[i] = rows[i - recipe.circle->first];
          break;
        }
      }
    });
  }
}

template <element T>
T merged(merge_operator op, T old, T value) {
  switch (op) {
    case merge_operator::assign: return value;
    case merge_operator::add: return sheaf::canonical(sheaf::add(old, value));
    case merge_operator::min: return sheaf::canonical(sheaf::min(old, value));
    case merge_operator::max: return sheaf::canonical(sheaf::max(old, value));
    default: break;
  }
  if constexpr (sheaf::integer_element<T>) {
    if (op == merge_operator::bit_and) return sheaf::bit_and(old, value);
    if (op == merge_operator::bit_or) return sheaf::bit_or(old, value);
    if (op == merge_operator::bit_xor) return sheaf::bit_xor(old, value);
  }
  return old;
}

}  // namespace

column host_rule(dtype type, std::uint64_t length,
                 std::span<const sheaf::host_operand> operands) {
  column out(length * sheaf::size_of(type));
  for (std::uint64_t i = 0; i < length; ++i) {
    std::uint64_t mix = i % 3;
    for (const sheaf::host_operand& operand : operands) {
      const std::size_t size = sheaf::size_of(operand.type);
      std::uint64_t bits = 0;
      std::memcpy(&bits, operand.data + (i % operand.length) * size, size);
      mix = (mix ^ bits) * 0x9e37'79b9'7f4a'7c15u;
    }
    sheaf::visit_dtype(type, [&]<class T>(std::type_identity<T>) {
      T value{};
      if constexpr (sheaf::float_element<T>) {
        // One in eight is a NaN with a payload: the engine makes it canonical.
        value = mix >> 61 == 0
                    ? sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(
                          sheaf::to_bits(sheaf::canonical_nan<T>) + (mix >> 48 & 0xff) + 1))
                    : static_cast<T>(static_cast<std::int32_t>(mix >> 40)) / T{16};
      } else {
        value = static_cast<T>(mix >> 56);
      }
      std::memcpy(out.data() + i * sizeof(T), &value, sizeof(T));
    });
  }
  return out;
}

naive_engine::naive_engine(const std::vector<array_recipe>& arrays) : arrays_(&arrays) {
  see_graph(nullptr);
  recompute(*arrays_, order_, columns_);
  next_ = columns_;
  is_fresh_.assign(arrays_->size(), false);
}

/// Order, columns of what is new, initial values of delays that are.
void naive_engine::see_graph(const std::vector<array_recipe>* before) {
  order_ = order_of(*arrays_);
  columns_.resize(arrays_->size());
  is_fresh_.assign(arrays_->size(), false);
  has_delay_ = false;
  for (std::size_t i = 0; i < arrays_->size(); ++i) {
    const array_recipe& recipe = (*arrays_)[i];
    const std::size_t bytes = recipe.length * sheaf::size_of(recipe.type);
    if (recipe.form == array_form::dropped) columns_[i].clear();
    if (recipe.form == array_form::source && columns_[i].empty()) columns_[i].resize(bytes);
    if (recipe.form != array_form::delay) continue;
    has_delay_ = true;
    const bool is_known = before != nullptr && i < before->size() &&
                          (*before)[i].form == array_form::delay &&
                          (*before)[i].version == recipe.version;
    if (is_known) continue;
    is_fresh_[i] = true;
    sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
      columns_[i] = stored(std::vector<T>(recipe.length, element_from<T>(recipe.initial)));
    });
  }
}

void naive_engine::resize(std::uint32_t array, std::uint64_t length) {
  if (before_.empty()) before_ = columns_;
  resizes_.push_back({array, length});
  columns_[array].resize(length * sheaf::size_of((*arrays_)[array].type));
}

void naive_engine::change_graph(const std::vector<array_recipe>& arrays) {
  see_graph(std::exchange(arrays_, &arrays));
  graph_changed_ = true;
}

bool naive_engine::writes_fit(const std::vector<array_recipe>& arrays) const {
  return std::ranges::all_of(pending_, [&](const change& one) {
    const array_recipe& recipe = arrays[one.array];
    return recipe.form == array_form::source && one.index < recipe.length;
  });
}

void naive_engine::write(std::uint32_t array, merge_operator op, std::uint64_t index,
                         std::uint64_t bits) {
  thread_local std::uint64_t number = 0;
  pending_.push_back({array, op, index, bits, ++number});
}

naive_engine naive_engine::fork_at(const std::vector<array_recipe>& arrays,
                                   const std::vector<column>& columns) const {
  naive_engine made(*this);
  made.arrays_ = &arrays;
  made.order_ = order_of(arrays);
  made.has_delay_ = std::ranges::any_of(
      arrays, [](const array_recipe& recipe) { return recipe.form == array_form::delay; });
  made.is_fresh_.assign(arrays.size(), false);
  made.columns_ = columns;
  made.next_ = columns;
  made.is_fork_ = true;
  return made;
}

void naive_engine::write_again(std::span<const change> changes) {
  for (const change& one : changes) write(one.array, one.op, one.index, one.bits);
}

void apply_change(dtype type, const naive_engine::change& one, column& to) {
  sheaf::visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    std::byte* const place = to.data() + one.index * sizeof(T);
    T old;
    std::memcpy(&old, place, sizeof(T));
    const T value = merged(one.op, old, element_from<T>(one.bits));
    std::memcpy(place, &value, sizeof(T));
  });
}

void naive_engine::prepare() {
  next_ = columns_;
  for (const std::uint32_t i : order_) {
    const array_recipe& recipe = (*arrays_)[i];
    if (recipe.form != array_form::delay || is_fresh_[i]) continue;
    sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
      const std::vector<column>& before = before_.empty() ? columns_ : before_;
      std::vector<T> held = elements_of<T>(before[recipe.operands[0]]);
      held.resize(recipe.length, sheaf::canonical(element_from<T>(recipe.initial)));
      next_[i].resize(held.size() * sizeof(T));  // as it is, the payloads of NaNs too
      std::memcpy(next_[i].data(), held.data(), next_[i].size());
    });
  }
  before_.clear();
  is_fresh_.assign(arrays_->size(), false);
  for (const change& one : pending_) {
    apply_change((*arrays_)[one.array].type, one, next_[one.array]);
  }
  if (!pending_.empty() || has_delay_ || graph_changed_) recompute(*arrays_, order_, next_);
  graph_changed_ = false;
  prepared_ = std::move(pending_);
  pending_.clear();
  ++last_number_;
}

void naive_engine::publish() {
  columns_ = next_;
  epoch_ = last_number_;
  if (is_fork_) remembered_.insert(remembered_.end(), prepared_.begin(), prepared_.end());
}

void naive_engine::refuse() { next_ = columns_; }

void naive_engine::turn_away() {
  refuse();
  --last_number_;
}

}  // namespace model_test
