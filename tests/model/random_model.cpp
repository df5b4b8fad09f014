#include "model/random_model.hpp"

#include <algorithm>

#include "model/circles.hpp"
#include "model/products.hpp"

namespace model_test {

namespace {

using sheaf::opcode;
using sheaf::semiring_id;

constexpr std::uint64_t huge_length = std::uint64_t{1} << 18;

class model_dice {
 public:
  model_dice(dice& random, model_shape shape, std::vector<array_recipe> first)
      : random_(random), shape_(shape), arrays_(std::move(first)) {
    const std::uint64_t count = shape == model_shape::wide ? 1 : random_.between(1, 3);
    for (std::uint64_t i = 0; i < count; ++i) types_.push_back(any_type());
    lengths_ = {random_length(), random_length()};
    page_mode_ = random_.below(3);
    common_page_ = static_cast<sheaf::page_class>(random_.below(sheaf::page_class_count));
  }

  /// For arrays to be added to `arrays`, or to take the place of one of them: `hidden` ones, by
  /// number, are not read.
  model_dice(dice& random, const std::vector<array_recipe>& arrays, std::vector<bool> hidden)
      : random_(random), shape_(model_shape::mixed), arrays_(arrays), hidden_(std::move(hidden)) {
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      if (arrays[i].form != array_form::source) continue;
      types_.push_back(arrays[i].type);
      if (arrays[i].length != 1) lengths_.push_back(arrays[i].length);
    }
    if (lengths_.empty()) lengths_ = {random_length()};
    page_mode_ = random_.below(3);
    common_page_ = static_cast<sheaf::page_class>(random_.below(sheaf::page_class_count));
  }

  /// What was added to the arrays that were given: a source, a derived array, or a circle.
  std::vector<array_recipe> one_more() {
    const std::size_t before = arrays_.size();
    if (random_.chance(25)) add_source();
    else if (random_.chance(6)) add_circle();
    else add_derived();
    follow();
    for (std::size_t i = before; i < arrays_.size(); ++i) {
      arrays_[i].declared_first = arrays_[i].form == array_form::circle;
    }
    return {arrays_.begin() + static_cast<std::ptrdiff_t>(before), arrays_.end()};
  }
  array_recipe one_derived() {
    add_derived();
    follow();
    arrays_.back().declared_first = false;
    return std::move(arrays_.back());
  }

  std::vector<array_recipe> run() {
    if (shape_ == model_shape::wide) return layers();
    const bool huge = shape_ == model_shape::huge;
    const std::uint64_t sources = random_.between(1, huge ? 3 : 6);
    const std::uint64_t derived = random_.between(1, huge ? 5 : 12);
    for (std::uint64_t i = 0; i < sources; ++i) add_source();
    for (std::uint64_t i = 0; i < derived; ++i) {
      if (!huge && random_.chance(6)) add_circle();
      else add_derived();
    }
    follow();
    return std::move(arrays_);
  }

 private:
  /// Nodes that the executor runs as one where nothing comes between them, and things that do.
  std::vector<array_recipe> layers() {
    const std::uint64_t width = random_.between(3, 90);
    const std::uint64_t depth = random_.between(1, 5);
    const bool odd_ones = random_.chance(50);
    page_mode_ = 0;
    lengths_ = {random_.between(1, sheaf::bytes_of(sheaf::page_class::b4k) >>
                                       (random_.below(5) + sheaf::size_shift(types_[0])))};
    for (std::uint64_t i = 0; i < width; ++i) {
      arrays_.push_back(fresh(types_[0], lengths_[0]));
    }
    for (std::uint64_t layer = 0; layer < depth; ++layer) {
      const semiring_id semiring = semiring_for(types_[0]);
      const std::uint64_t fan_in = random_.chance(50) ? 4 : random_.between(1, 9);
      const std::uint64_t below = arrays_.size() - width;
      for (std::uint64_t i = 0; i < width; ++i) {
        if (odd_ones && random_.chance(10)) {
          add_derived();
          continue;
        }
        array_recipe made = fresh(types_[0], lengths_[0]);
        made.form = array_form::combine;
        made.semiring = semiring;
        while (made.values.size() < fan_in) {
          const auto from = static_cast<std::uint32_t>(below + random_.below(width));
          const bool fits = arrays_[from].type == types_[0] && !arrays_[from].lazy &&
                            arrays_[from].length == lengths_[0];
          made.values.push_back(array_leaf(
              fits ? from : static_cast<std::uint32_t>(random_.below(width))));
        }
        arrays_.push_back(std::move(made));
      }
    }
    follow();
    return std::move(arrays_);
  }

  dtype any_type() { return static_cast<dtype>(random_.below(sheaf::dtype_count)); }

  /// Short ones, and the edges of lines and pages.
  std::uint64_t random_length() {
    if (shape_ == model_shape::huge) return huge_length + random_.below(2);
    switch (random_.below(6)) {
      case 0: return random_.between(2, 70);
      case 1: return random_.between(1, 12) * 16 + random_.below(3) - 1;
      case 2: return random_.between(1, 6) * 64 + random_.below(3) - 1;
      case 3: return (std::uint64_t{512} << random_.below(4)) + random_.below(3) - 1;
      case 4: return random_.between(2, 900);
      default: return random_.chance(25) ? random_.between(900, 5000) : random_.between(70, 300);
    }
  }

  std::optional<sheaf::page_class> random_page() {
    if (page_mode_ == 0) return std::nullopt;
    if (page_mode_ == 1) return common_page_;
    if (random_.chance(20)) return std::nullopt;
    return static_cast<sheaf::page_class>(random_.below(sheaf::page_class_count));
  }

  array_recipe fresh(dtype type, std::uint64_t length) {
    array_recipe made;
    made.type = type;
    made.length = length;
    made.page = random_page();
    if (!random_.chance(15)) made.name = "a" + std::to_string(arrays_.size());
    return made;
  }

  void add_source() {
    arrays_.push_back(fresh(random_.pick(types_),
                            random_.chance(12) ? 1 : random_.pick(lengths_)));
  }

  /// Arrays the one being made may read, of `type` where it is given, of `length` or of one element
  /// where it is not 0.
  std::vector<std::uint32_t> readable(std::optional<dtype> type, std::uint64_t length) {
    std::vector<std::uint32_t> found;
    for (std::uint32_t i = 0; i < arrays_.size(); ++i) {
      if (type && arrays_[i].type != *type) continue;
      if (length != 0 && arrays_[i].length != length && arrays_[i].length != 1) continue;
      if ((arrays_[i].lazy && !lazy_) || !is_seen(i)) continue;
      found.push_back(i);
    }
    return found;
  }

  bool is_seen(std::uint32_t array) const {
    return arrays_[array].form != array_form::dropped &&
           (array >= hidden_.size() || !hidden_[array]);
  }

  formula array_leaf(std::uint32_t array) {
    return {.kind = formula::form::array, .type = arrays_[array].type, .array = array};
  }
  formula constant_leaf(dtype type) {
    return {.kind = formula::form::constant,
            .type = type,
            .bits = sheaf::visit_dtype(type, [&]<class T>(std::type_identity<T>) {
              return static_cast<std::uint64_t>(random_.value_bits<T>());
            })};
  }
  formula element_leaf(dtype type) {
    const std::vector<std::uint32_t> from = readable(type, 0);
    if (from.empty()) return constant_leaf(type);
    const std::uint32_t array = random_.pick(from);
    return {.kind = formula::form::element,
            .type = type,
            .array = array,
            .bits = random_.below(arrays_[array].length)};
  }
  formula leaf(dtype type, std::uint64_t length) {
    const std::vector<std::uint32_t> from = readable(type, length);
    const std::uint64_t choice = random_.below(100);
    if (choice < 60 && !from.empty()) return array_leaf(random_.pick(from));
    return choice < 80 ? element_leaf(type) : constant_leaf(type);
  }

  std::optional<dtype> same_size_as(dtype type) {
    std::vector<dtype> found;
    for (unsigned i = 0; i < sheaf::dtype_count; ++i) {
      const auto other = static_cast<dtype>(i);
      if (sheaf::size_of(other) == sheaf::size_of(type)) found.push_back(other);
    }
    return random_.pick(found);  // itself too: such a cast is legal
  }

  /// What each delay follows: any array of its shape, later ones too, but not delays alone in a
  /// loop.
  void follow() {
    for (std::uint32_t i = 0; i < arrays_.size(); ++i) {
      if (arrays_[i].form != array_form::delay || !arrays_[i].operands.empty()) continue;
      std::vector<std::uint32_t> found;
      for (std::uint32_t k = 0; k < arrays_.size(); ++k) {
        const bool fits = arrays_[k].type == arrays_[i].type &&
                          arrays_[k].length == arrays_[i].length && !arrays_[k].lazy &&
                          is_seen(k);
        if (fits && !loops(k, i)) found.push_back(k);
      }
      if (found.empty()) {
        arrays_[i].form = array_form::expression;
        continue;
      }
      const std::uint32_t followed = random_.pick(found);
      arrays_[i].operands = {followed};
      if (followed >= i) arrays_[i].declared_first = true;
    }
  }
  /// True where delays lead from `at` to `goal` without anything else between.
  bool loops(std::uint32_t at, std::uint32_t goal) const {
    while (at != goal) {
      if (arrays_[at].form != array_form::delay || arrays_[at].operands.empty()) return false;
      at = arrays_[at].operands[0];
    }
    return true;
  }

  opcode operation_for(dtype type, bool may_cast) {
    for (;;) {
      const auto op = static_cast<opcode>(random_.below(sheaf::opcode_count));
      if (op == opcode::copy || op == opcode::call) continue;
      if (op == opcode::cast && !may_cast) continue;
      if (sheaf::supports(op, type)) return op;
    }
  }

  /// A tree of `type` over arrays of `length`; `main`, if it is an array, occurs in it.
  formula tree(dtype type, std::uint64_t length, unsigned depth, std::uint32_t main) {
    if (depth == 0) return main == no_array ? leaf(type, length) : array_leaf(main);
    const opcode op = operation_for(type, main == no_array);
    formula made{.kind = formula::form::operation, .type = type, .op = op};
    dtype from = op == opcode::cast ? *same_size_as(type) : type;
    if (op == opcode::cast && random_.chance(50)) {
      // Of another size: what stands under it holds an array.
      const std::vector<std::uint32_t> found = readable(std::nullopt, length);
      if (!found.empty()) {
        main = random_.pick(found);
        from = arrays_[main].type;
      }
    }
    const unsigned arity = sheaf::arity_of(op);
    const std::uint64_t holder = random_.below(arity);
    for (unsigned i = 0; i < arity; ++i) {
      const auto below = static_cast<unsigned>(random_.below(depth));
      made.arguments.push_back(tree(from, length, below, i == holder ? main : no_array));
    }
    return made;
  }

  /// An expression that reads `main`, of another type now and then.
  formula expression_of(std::uint32_t main) {
    const array_recipe& from = arrays_[main];
    const auto depth = static_cast<unsigned>(random_.below(5));
    formula made = tree(from.type, from.length, depth, main);
    if (!random_.chance(20)) return made;
    formula cast{.kind = formula::form::operation,
                 .type = random_.chance(50) ? any_type() : *same_size_as(from.type),
                 .op = opcode::cast};
    cast.arguments.push_back(std::move(made));
    return cast;
  }

  semiring_id semiring_for(dtype type) {
    for (;;) {
      const auto id = static_cast<semiring_id>(random_.below(sheaf::semiring_count));
      if (sheaf::supports(id, type)) return id;
    }
  }

  void add_derived() {
    lazy_ = random_.chance(12);
    const std::uint32_t main = random_.pick(readable(std::nullopt, 0));
    if (random_.chance(30)) return add_ordered(main);
    const std::uint64_t choice = random_.below(100);
    array_recipe made = choice < 35   ? expression(main)
                        : choice < 48 ? combine(main)
                        : choice < 61 ? terms(main)
                        : choice < 69 ? reduce(main)
                        : choice < 77 ? segment_reduce(main)
                        : choice < 84 ? gather(main)
                        : choice < 93 ? product(main)
                                      : host();
    made.lazy = lazy_;
    made.declared_first = made.form != array_form::host && random_.chance(12);
    arrays_.push_back(std::move(made));
  }

  /// What goes by the order of elements or of epochs.
  void add_ordered(std::uint32_t main) {
    const std::uint64_t choice = random_.below(100);
    array_recipe made = choice < 30   ? scan(main)
                        : choice < 45 ? histogram(main)
                        : choice < 60 ? sort_index(main)
                        : choice < 70 ? top_k(main)
                        : choice < 82 ? gather_at(main)
                        : arrays_[main].lazy ? scan(main)
                                             : delay(main);
    made.lazy = lazy_ && made.form != array_form::delay;
    made.declared_first = random_.chance(12);
    arrays_.push_back(std::move(made));
  }

  array_recipe scan(std::uint32_t main) {
    formula value = expression_of(main);
    array_recipe made = fresh(value.type, arrays_[main].length);
    made.form = array_form::scan;
    made.semiring = semiring_for(made.type);
    made.exclusive = random_.chance(40);
    const std::uint64_t cut = random_.below(4);
    if (cut == 0) {
      for (std::uint64_t k = random_.between(1, 1 + made.length / 40); k != 0; --k) {
        made.starts.push_back(static_cast<std::uint32_t>(random_.below(made.length)));
      }
    } else if (cut == 1) {
      auto groups = std::make_shared<group_table>();
      groups->groups.resize(4);
      std::uint32_t group = 0;
      for (std::uint32_t i = 0; i < made.length; ++i) {
        if (random_.chance(3)) group = static_cast<std::uint32_t>(random_.below(4));
        groups->segment_of_element.push_back(group);
        groups->groups[group].push_back(i);
      }
      made.groups = std::move(groups);
    }
    made.values.push_back(std::move(value));
    return made;
  }

  array_recipe histogram(std::uint32_t main) {
    formula value = expression_of(main);
    const std::uint64_t bins = random_.chance(20) ? random_.between(20, 90) : random_.between(1, 6);
    array_recipe made = fresh(random_.chance(70) ? dtype::u32 : dtype::u64, bins);
    made.form = array_form::histogram;
    made.clamp = random_.chance(40);
    sheaf::visit_dtype(value.type, [&]<class T>(std::type_identity<T>) {
      const auto step = static_cast<T>(random_.between(1, 2));
      T edge = static_cast<T>(random_.below(2));
      for (std::uint64_t i = 0; i <= bins; ++i) {
        made.edges.push_back(static_cast<std::uint64_t>(sheaf::to_bits(edge)));
        edge = static_cast<T>(edge + step);
      }
    });
    made.values.push_back(std::move(value));
    return made;
  }

  /// Some or all, in order.
  array_recipe sort_index(std::uint32_t main) {
    formula value = expression_of(main);
    const std::uint64_t length = arrays_[main].length;
    const bool some = random_.chance(50);
    array_recipe made = fresh(dtype::u32, some ? random_.between(1, length) : length);
    made.form = array_form::sort_index;
    made.exclusive = some;
    made.descending = random_.chance(50);
    made.values.push_back(std::move(value));
    return made;
  }
  array_recipe top_k(std::uint32_t main) {
    formula value = expression_of(main);
    const std::uint64_t length = arrays_[main].length;
    const std::uint64_t most = random_.chance(70) ? std::min<std::uint64_t>(length, 9) : length;
    array_recipe made = fresh(value.type, random_.between(1, most));
    made.form = array_form::top_k;
    made.descending = random_.chance(50);
    made.values.push_back(std::move(value));
    return made;
  }

  array_recipe gather_at(std::uint32_t main) {
    const std::vector<std::uint32_t> indices = readable(dtype::u32, 0);
    if (indices.empty()) return sort_index(main);
    const std::uint32_t at = random_.pick(indices);
    array_recipe made = fresh(arrays_[main].type, arrays_[at].length);
    made.form = array_form::gather_at;
    made.operands = {main, at};
    return made;
  }

  array_recipe delay(std::uint32_t main) {
    array_recipe made = fresh(arrays_[main].type, arrays_[main].length);
    made.form = array_form::delay;
    made.initial = constant_leaf(made.type).bits;
    made.values.push_back(array_leaf(main));  // what it becomes where it can follow nothing
    return made;
  }

  array_recipe expression(std::uint32_t main) {
    formula value = expression_of(main);
    array_recipe made = fresh(value.type, arrays_[main].length);
    made.form = array_form::expression;
    made.values.push_back(std::move(value));
    return made;
  }

  std::uint64_t operand_count() {
    return random_.chance(10) ? random_.between(7, 24) : random_.between(1, 6);
  }

  array_recipe combine(std::uint32_t main) {
    const array_recipe& from = arrays_[main];
    array_recipe made = fresh(from.type, from.length);
    made.form = array_form::combine;
    made.semiring = semiring_for(made.type);
    const std::vector<std::uint32_t> candidates = readable(made.type, made.length);
    const std::uint64_t count = operand_count();
    const std::uint64_t place = random_.below(count);
    for (std::uint64_t k = 0; k < count; ++k) {
      made.values.push_back(array_leaf(k == place ? main : random_.pick(candidates)));
    }
    return made;
  }

  array_recipe terms(std::uint32_t main) {
    array_recipe made = combine(main);
    made.form = array_form::combine_terms;
    bool has_main = false;
    for (formula& value : made.values) {
      if (value.array == main && !has_main) has_main = true;
      else if (random_.chance(20)) value = element_or_array(made);
      made.weights.push_back(random_.chance(40) ? constant_leaf(made.type)
                                                : element_or_array(made));
    }
    return made;
  }
  formula element_or_array(const array_recipe& made) {
    const std::vector<std::uint32_t> from = readable(made.type, made.length);
    return random_.chance(50) ? element_leaf(made.type) : array_leaf(random_.pick(from));
  }

  array_recipe reduce(std::uint32_t main) {
    formula value = expression_of(main);
    array_recipe made = fresh(value.type, 1);
    made.form = array_form::reduce;
    made.semiring = semiring_for(made.type);
    made.values.push_back(std::move(value));
    return made;
  }

  std::shared_ptr<const group_table> random_groups(std::uint64_t length) {
    auto made = std::make_shared<group_table>();
    const std::uint64_t count = random_.between(1, random_.chance(50) ? 8 : 150);
    made->groups.resize(count);
    if (random_.chance(50)) {
      for (std::uint32_t i = 0; i < length; ++i) {
        const std::uint64_t group = random_.chance(30) ? 0 : random_.below(count);
        made->segment_of_element.push_back(static_cast<std::uint32_t>(group));
        made->groups[group].push_back(i);
      }
      return made;
    }
    for (auto& group : made->groups) {
      if (random_.chance(20)) continue;
      const std::uint64_t members = random_.between(0, random_.chance(10) ? 2500 : 40);
      for (std::uint64_t i = 0; i < members; ++i) {
        group.push_back(static_cast<std::uint32_t>(random_.below(length)));
      }
    }
    return made;
  }

  array_recipe segment_reduce(std::uint32_t main) {
    const std::uint64_t length = arrays_[main].length;
    std::shared_ptr<const group_table> groups;
    for (const array_recipe& other : arrays_) {
      if (other.groups != nullptr && other.groups->segment_of_element.size() == length) {
        groups = other.groups;  // one object may serve many definitions
      }
    }
    if (groups == nullptr || random_.chance(60)) groups = random_groups(length);
    formula value = expression_of(main);
    array_recipe made = fresh(value.type, groups->groups.size());
    made.form = array_form::segment_reduce;
    made.semiring = semiring_for(made.type);
    made.values.push_back(std::move(value));
    made.groups = std::move(groups);
    return made;
  }

  array_recipe gather(std::uint32_t main) {
    const array_recipe& from = arrays_[main];
    const std::uint64_t length = random_.chance(60)   ? random_.pick(lengths_)
                                 : random_.chance(20) ? 1
                                                      : random_length();
    array_recipe made = fresh(from.type, length);
    made.form = array_form::gather;
    made.operands = {main};
    const bool narrow = random_.chance(20);
    for (std::uint64_t i = 0; i < length; ++i) {
      made.indices.push_back(static_cast<std::uint32_t>(
          narrow ? from.length - 1 : random_.below(from.length)));
    }
    return made;
  }

  array_recipe product(std::uint32_t main) {
    const dtype type = arrays_[main].type;
    const std::uint32_t other = random_.pick(readable(type, 0));
    const bool swapped = random_.chance(50);
    const std::uint32_t first = swapped ? other : main;
    const std::uint32_t second = swapped ? main : other;
    auto made = std::make_shared<product_recipe>(
        random_product(random_, arrays_[first].length, arrays_[second].length,
                       [&] { return constant_leaf(type).bits; }));
    array_recipe recipe = fresh(type, made->length);
    recipe.form = array_form::product;
    recipe.semiring = semiring_for(type);
    recipe.operands = {first, second};
    recipe.product = std::move(made);
    return recipe;
  }

  /// One to five arrays defined by each other, by themselves and by arrays outside.
  void add_circle() {
    lazy_ = random_.chance(12);
    const std::uint32_t main = random_.pick(readable(std::nullopt, 0));
    const dtype type = arrays_[main].type;
    const std::uint64_t length = arrays_[main].length;
    const std::vector<std::uint32_t> outside = readable(type, length);
    auto table = std::make_shared<circle_table>();
    table->first = static_cast<std::uint32_t>(arrays_.size());
    table->count = static_cast<std::uint32_t>(random_.between(1, 5));
    const semiring_id semiring = circle_semiring(random_, type);
    for (std::uint32_t to = 0; to < table->count; ++to) {
      for (std::uint64_t left = random_.between(1, 4); left > 0; --left) {
        const bool inside = !table->terms.empty() && random_.chance(60);
        const auto member = static_cast<std::uint32_t>(table->first + random_.below(table->count));
        const std::uint64_t weight =
            sheaf::visit_dtype(type, [&]<class T>(std::type_identity<T>) {
              const T value = circle_weight<T>(random_, semiring);
              return static_cast<std::uint64_t>(sheaf::to_bits(value));
            });
        table->terms.push_back(
            {to, inside ? member : random_.pick(outside), random_.chance(40), weight});
      }
    }
    for (std::uint32_t k = 0; k < table->count; ++k) {
      array_recipe made = fresh(type, length);
      made.form = array_form::circle;
      made.semiring = semiring;
      made.circle = table;
      made.lazy = lazy_;
      made.declared_first = true;
      arrays_.push_back(std::move(made));
    }
  }

  array_recipe host() {
    array_recipe made = fresh(random_.pick(types_), random_.pick(lengths_));
    made.form = array_form::host;
    const std::uint64_t count = random_.between(1, 3);
    for (std::uint64_t k = 0; k < count; ++k) {
      made.operands.push_back(random_.pick(readable(std::nullopt, 0)));
    }
    return made;
  }

  dice& random_;
  model_shape shape_;
  bool lazy_ = false;
  std::vector<dtype> types_;
  std::vector<std::uint64_t> lengths_;
  std::uint64_t page_mode_ = 0;
  sheaf::page_class common_page_ = sheaf::page_class::b64;
  std::vector<array_recipe> arrays_;
  std::vector<bool> hidden_;
};

}  // namespace

std::vector<array_recipe> random_model(dice& random, model_shape shape,
                                       std::vector<array_recipe> first) {
  return model_dice(random, shape, std::move(first)).run();
}

std::vector<array_recipe> random_addition(dice& random, const std::vector<array_recipe>& arrays) {
  return model_dice(random, arrays, {}).one_more();
}

array_recipe random_redefinition(dice& random, const std::vector<array_recipe>& arrays,
                                 const std::vector<bool>& hidden) {
  return model_dice(random, arrays, hidden).one_derived();
}

}  // namespace model_test
