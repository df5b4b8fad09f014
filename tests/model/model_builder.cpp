#include "model/model_builder.hpp"

#include <cstring>
#include <map>
#include <stdexcept>

#include "model/products.hpp"

namespace model_test {

namespace {

using sheaf::array;
using sheaf::expression;
using sheaf::opcode;

class builder {
 public:
  builder(sheaf::model& model, const std::vector<array_recipe>& recipes, host_switch& hosts,
          std::vector<sheaf::any_array> handles)
      : model_(model), recipes_(recipes), hosts_(hosts), handles_(std::move(handles)) {
    handles_.resize(recipes_.size());
  }

  std::vector<sheaf::any_array> again(std::uint32_t index) {
    redefines_ = true;
    with_type(index, [&]<class T>() { make<T>(index); });
    return std::move(handles_);
  }
  std::vector<sheaf::any_array> run(std::uint32_t first) {
    for (std::uint32_t i = first; i < recipes_.size(); ++i) {
      if (recipes_[i].declared_first) with_type(i, [&]<class T>() { declare_first<T>(i); });
    }
    for (std::uint32_t i = first; i < recipes_.size(); ++i) {
      if (!recipes_[i].declared_first) with_type(i, [&]<class T>() { make<T>(i); });
    }
    for (std::uint32_t i = first; i < recipes_.size(); ++i) {
      if (recipes_[i].declared_first) with_type(i, [&]<class T>() { make<T>(i); });
    }
    return std::move(handles_);
  }

 private:
  template <class Visitor>
  void with_type(std::uint32_t index, Visitor&& visitor) {
    sheaf::visit_dtype(recipes_[index].type, [&]<class T>(std::type_identity<T>) {
      visitor.template operator()<T>();
    });
  }
  template <element T>
  array<T> handle(std::uint32_t index) const {
    return array<T>(handles_[index].handle());
  }

  template <element T>
  void declare_first(std::uint32_t index) {
    const array_recipe& recipe = recipes_[index];
    handles_[index] = model_.declare<T>(recipe.name, recipe.length, {.page = recipe.page});
  }

  /// Derives the array, or defines it where it was declared.
  template <element T>
  void settle(std::uint32_t index, const sheaf::definition<T>& computed) {
    const array_recipe& recipe = recipes_[index];
    const auto when = recipe.lazy ? sheaf::evaluation::lazy : sheaf::evaluation::eager;
    if (redefines_) {
      handles_[index] = model_.redefine(handle<T>(index), computed, when);
    } else if (recipe.declared_first) {
      model_.define(handle<T>(index), computed, when);
    } else {
      handles_[index] = model_.derive(recipe.name, computed, {.when = when, .page = recipe.page});
    }
  }

  template <element T>
  void make(std::uint32_t index) {
    const array_recipe& recipe = recipes_[index];
    switch (recipe.form) {
      case array_form::source:
        handles_[index] = model_.source<T>(recipe.name, recipe.length, {.page = recipe.page});
        break;
      case array_form::expression: settle<T>(index, tree<T>(recipe.values[0])); break;
      case array_form::combine: combine<T>(index); break;
      case array_form::combine_terms: combine_terms<T>(index); break;
      case array_form::reduce:
        settle<T>(index, sheaf::reduce(recipe.semiring, tree<T>(recipe.values[0])));
        break;
      case array_form::segment_reduce:
        settle<T>(index, sheaf::segment_reduce(recipe.semiring, tree<T>(recipe.values[0]),
                                               segments_of(recipe.groups)));
        break;
      case array_form::gather:
        settle<T>(index, sheaf::gather(handle<T>(recipe.operands[0]), recipe.indices));
        break;
      case array_form::product:
        settle<T>(index, define_product(*recipe.product, recipe.semiring,
                                        handle<T>(recipe.operands[0]),
                                        handle<T>(recipe.operands[1])));
        break;
      case array_form::host: host<T>(index); break;
      case array_form::scan: scan<T>(index); break;
      case array_form::histogram:
      case array_form::sort_index: counts_or_indices(index); break;
      case array_form::top_k:
        settle<T>(index, sheaf::top_k(tree<T>(recipe.values[0]), recipe.length, way_of(recipe)));
        break;
      case array_form::gather_at:
        settle<T>(index, sheaf::gather(handle<T>(recipe.operands[0]),
                                       handle<std::uint32_t>(recipe.operands[1])));
        break;
      case array_form::delay:
        settle<T>(index, sheaf::delay(handle<T>(recipe.operands[0]),
                                      sheaf::from_bits<T>(
                                          static_cast<sheaf::bits_of<T>>(recipe.initial))));
        break;
      case array_form::circle:
        if (index == recipe.circle->first) circle<T>(recipe);
        break;
      case array_form::dropped: break;
    }
  }

  template <element T>
  expression<T> tree(const formula& f) const {
    switch (f.kind) {
      case formula::form::array: return handle<T>(f.array);
      case formula::form::element: return sheaf::element_of(handle<T>(f.array), f.bits);
      case formula::form::constant:
        return sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(f.bits));
      case formula::form::operation: break;
    }
    if (f.op == opcode::cast) return cast<T>(f.arguments[0]);
    if (f.arguments.size() == 1) return unary<T>(f.op, tree<T>(f.arguments[0]));
    if (f.arguments.size() == 2) {
      return binary<T>(f.op, tree<T>(f.arguments[0]), tree<T>(f.arguments[1]));
    }
    expression<T> a = tree<T>(f.arguments[0]);
    if (f.op == opcode::fma) {
      return sheaf::fma(std::move(a), tree<T>(f.arguments[1]), tree<T>(f.arguments[2]));
    }
    return sheaf::select(std::move(a), tree<T>(f.arguments[1]), tree<T>(f.arguments[2]));
  }
  template <element T>
  expression<T> cast(const formula& from) const {
    return sheaf::visit_dtype(from.type, [&]<class From>(std::type_identity<From>) {
      return sheaf::cast<T>(tree<From>(from));
    });
  }
  template <element T>
  static expression<T> unary(opcode op, expression<T> a) {
    if constexpr (sheaf::float_element<T>) {
      switch (op) {
        case opcode::sqrt: return sheaf::sqrt(std::move(a));
        case opcode::exp: return sheaf::exp(std::move(a));
        case opcode::log: return sheaf::log(std::move(a));
        case opcode::tanh: return sheaf::tanh(std::move(a));
        case opcode::erf: return sheaf::erf(std::move(a));
        case opcode::sin: return sheaf::sin(std::move(a));
        case opcode::cos: return sheaf::cos(std::move(a));
        default: break;
      }
    } else {
      if (op == opcode::bit_not) return ~std::move(a);
    }
    return op == opcode::neg ? -std::move(a) : sheaf::abs(std::move(a));
  }
  template <element T>
  static expression<T> binary(opcode op, expression<T> a, expression<T> b) {
    switch (op) {
      case opcode::add: return std::move(a) + std::move(b);
      case opcode::sub: return std::move(a) - std::move(b);
      case opcode::mul: return std::move(a) * std::move(b);
      case opcode::div: return std::move(a) / std::move(b);
      case opcode::min: return sheaf::min(std::move(a), std::move(b));
      case opcode::max: return sheaf::max(std::move(a), std::move(b));
      case opcode::eq: return sheaf::eq(std::move(a), std::move(b));
      case opcode::ne: return sheaf::ne(std::move(a), std::move(b));
      case opcode::lt: return sheaf::lt(std::move(a), std::move(b));
      case opcode::le: return sheaf::le(std::move(a), std::move(b));
      default: break;
    }
    if constexpr (sheaf::integer_element<T>) {
      switch (op) {
        case opcode::bit_and: return std::move(a) & std::move(b);
        case opcode::bit_or: return std::move(a) | std::move(b);
        case opcode::bit_xor: return std::move(a) ^ std::move(b);
        case opcode::shl: return std::move(a) << std::move(b);
        case opcode::shr: return std::move(a) >> std::move(b);
        default: break;
      }
    }
    if constexpr (sheaf::float_element<T>) {
      if (op == opcode::pow) return sheaf::pow(std::move(a), std::move(b));
    }
    return a;
  }

  template <element T>
  void combine(std::uint32_t index) {
    std::vector<array<T>> values;
    for (const formula& value : recipes_[index].values) values.push_back(handle<T>(value.array));
    settle<T>(index, sheaf::combine(recipes_[index].semiring, values));
  }

  template <element T>
  sheaf::term<T> term_of(const formula& value, const formula& weight) const {
    const auto with_weight = [&](const auto& left) -> sheaf::term<T> {
      switch (weight.kind) {
        case formula::form::array: return {left, handle<T>(weight.array)};
        case formula::form::element:
          return {left, sheaf::element_of(handle<T>(weight.array), weight.bits)};
        default: return {left, sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(weight.bits))};
      }
    };
    if (value.kind == formula::form::array) return with_weight(handle<T>(value.array));
    return with_weight(sheaf::element_of(handle<T>(value.array), value.bits));
  }
  template <element T>
  void combine_terms(std::uint32_t index) {
    const array_recipe& recipe = recipes_[index];
    std::vector<sheaf::term<T>> terms;
    for (std::size_t k = 0; k < recipe.values.size(); ++k) {
      terms.push_back(term_of<T>(recipe.values[k], recipe.weights[k]));
    }
    settle<T>(index, sheaf::combine(recipe.semiring, terms));
  }

  const sheaf::segments& segments_of(const std::shared_ptr<const group_table>& groups) {
    const auto known = segments_.find(groups.get());
    if (known != segments_.end()) return known->second;
    const auto count = static_cast<std::uint32_t>(groups->groups.size());
    if (!groups->segment_of_element.empty()) {
      const auto made = sheaf::segments::from_ids(groups->segment_of_element, count);
      return segments_.emplace(groups.get(), made).first->second;
    }
    std::vector<std::uint32_t> offsets{0};
    std::vector<std::uint32_t> members;
    for (const auto& group : groups->groups) {
      members.insert(members.end(), group.begin(), group.end());
      offsets.push_back(static_cast<std::uint32_t>(members.size()));
    }
    const auto made = sheaf::segments::from_csr(std::move(offsets), std::move(members));
    return segments_.emplace(groups.get(), made).first->second;
  }

  static sheaf::order way_of(const array_recipe& recipe) {
    return recipe.descending ? sheaf::order::descending : sheaf::order::ascending;
  }
  template <element T>
  void scan(std::uint32_t index) {
    const array_recipe& recipe = recipes_[index];
    sheaf::scan_options options{.exclusive = recipe.exclusive, .starts = recipe.starts};
    if (recipe.groups != nullptr) options.groups = segments_of(recipe.groups);
    settle<T>(index, sheaf::scan(recipe.semiring, tree<T>(recipe.values[0]), options));
  }
  void counts_or_indices(std::uint32_t index) {
    const array_recipe& recipe = recipes_[index];
    const formula& f = recipe.values[0];
    sheaf::visit_dtype(f.type, [&]<class T>(std::type_identity<T>) {
      if (recipe.form == array_form::sort_index) {
        settle<std::uint32_t>(
            index, recipe.exclusive ? sheaf::top_k_index(tree<T>(f), recipe.length, way_of(recipe))
                                    : sheaf::sort_index(tree<T>(f), way_of(recipe)));
        return;
      }
      std::vector<T> edges;
      for (const std::uint64_t bits : recipe.edges) {
        edges.push_back(sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(bits)));
      }
      const auto outside = recipe.clamp ? sheaf::outside_bins::clamp : sheaf::outside_bins::drop;
      if (recipe.type == dtype::u64) {
        settle<std::uint64_t>(index, sheaf::histogram<std::uint64_t>(tree<T>(f), edges, outside));
      } else {
        settle<std::uint32_t>(index, sheaf::histogram(tree<T>(f), edges, outside));
      }
    });
  }

  template <element T>
  void circle(const array_recipe& recipe) {
    const circle_table& table = *recipe.circle;
    std::vector<std::vector<sheaf::fixpoint_term<T>>> terms(table.count);
    for (const circle_term& term : table.terms) {
      const array<T> value = handle<T>(term.array);
      const T weight = sheaf::from_bits<T>(static_cast<sheaf::bits_of<T>>(term.weight_bits));
      if (term.is_plain) terms[term.to].emplace_back(value);
      else terms[term.to].emplace_back(sheaf::term<T>(value, weight));
    }
    std::vector<sheaf::fixpoint_member<T>> members;
    for (std::uint32_t k = 0; k < table.count; ++k) {
      members.emplace_back(handle<T>(table.first + k),
                           std::span<const sheaf::fixpoint_term<T>>(terms[k]));
    }
    model_.fixpoint(recipe.semiring, std::span<const sheaf::fixpoint_member<T>>(members),
                    {.is_lazy = recipe.lazy});
  }

  template <element T>
  void host(std::uint32_t index) {
    const array_recipe& recipe = recipes_[index];
    std::vector<sheaf::any_array> operands;
    std::vector<dtype> types;
    for (const std::uint32_t operand : recipe.operands) {
      operands.push_back(handles_[operand]);
      types.push_back(recipes_[operand].type);
    }
    auto function = [index, types, hosts = &hosts_](sheaf::host_call& call) -> sheaf::status {
      if (hosts->inside) std::exchange(hosts->inside, nullptr)();
      std::vector<sheaf::host_operand> read;
      for (std::size_t k = 0; k < types.size(); ++k) {
        sheaf::visit_dtype(types[k], [&]<class From>(std::type_identity<From>) {
          const std::span<const From> all = call.operand<From>(k);
          read.push_back({reinterpret_cast<const std::byte*>(all.data()), all.size(), types[k]});
        });
      }
      const std::span<T> to = call.result<T>();
      const column computed = host_rule(sheaf::dtype_of<T>, to.size(), read);
      if (hosts->failing == index) return fail(*hosts, to);
      std::memcpy(to.data(), computed.data(), computed.size());
      return {};
    };
    if (redefines_) return redefine_host<T>(index, operands, std::move(function));
    const auto when = recipe.lazy ? sheaf::evaluation::lazy : sheaf::evaluation::eager;
    handles_[index] = model_.derive_host<T>(recipe.name, recipe.length, operands,
                                            std::move(function),
                                            {.when = when, .page = recipe.page});
  }
  template <element T>
  void redefine_host(std::uint32_t index, const std::vector<sheaf::any_array>& from,
                     sheaf::host_function function) {
    const array<T> target = handle<T>(index);
    const std::uint64_t length = recipes_[index].length;
    const auto tell = [&](std::initializer_list<sheaf::any_array> operands) {
      handles_[index] = model_.redefine_host(target, operands, std::move(function), length);
    };
    if (from.size() == 1) tell({from[0]});
    else if (from.size() == 2) tell({from[0], from[1]});
    else tell({from[0], from[1], from[2]});
  }
  /// Leaves rubbish behind on its way out.
  template <element T>
  static sheaf::status fail(const host_switch& hosts, std::span<T> to) {
    std::memset(to.data(), 0xa5, to.size_bytes());
    if (hosts.how == host_switch::way::exception) throw std::runtime_error("on command");
    if (hosts.how == host_switch::way::other_exception) throw 42;
    return {sheaf::status_code::invalid_argument, sheaf::subsystem::engine, "on command"};
  }

  sheaf::model& model_;
  const std::vector<array_recipe>& recipes_;
  host_switch& hosts_;
  std::vector<sheaf::any_array> handles_;
  std::map<const group_table*, sheaf::segments> segments_;
  bool redefines_ = false;
};

}  // namespace

std::vector<sheaf::any_array> declare_all(sheaf::model& model,
                                          const std::vector<array_recipe>& recipes,
                                          host_switch& hosts) {
  return builder(model, recipes, hosts, {}).run(0);
}

void declare_more(sheaf::model& model, const std::vector<array_recipe>& recipes,
                  std::vector<sheaf::any_array>& handles, host_switch& hosts) {
  const auto first = static_cast<std::uint32_t>(handles.size());
  handles = builder(model, recipes, hosts, handles).run(first);
}

void redefine_one(sheaf::model& model, const std::vector<array_recipe>& recipes,
                  std::vector<sheaf::any_array>& handles, std::uint32_t index,
                  host_switch& hosts) {
  handles = builder(model, recipes, hosts, handles).again(index);
}

}  // namespace model_test
