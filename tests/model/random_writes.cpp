#include "model/random_writes.hpp"

#include <algorithm>
#include <cstring>

namespace model_test {

namespace {

using sheaf::array;
using sheaf::merge_operator;
using sheaf::status_code;

}  // namespace

random_writes::random_writes(dice& random, const std::vector<array_recipe>& arrays,
                             const std::vector<sheaf::any_array>& handles, naive_engine& naive)
    : random_(random), arrays_(arrays), handles_(handles), naive_(naive) {
  for (std::uint32_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].is_fixed) continue;
    if (arrays[i].form == array_form::source) sources_.push_back(i);
    else if (arrays[i].form != array_form::dropped) derived_.push_back(i);
  }
}

merge_operator random_writes::operator_for(dtype type) {
  for (;;) {
    const auto op = static_cast<merge_operator>(random_.below(sheaf::merge_operator_count));
    if (sheaf::supports(op, type)) return op;
  }
}

std::uint64_t random_writes::index_below(std::uint64_t length, dtype type) {
  const std::uint64_t per_line = sheaf::line_size >> sheaf::size_shift(type);
  switch (random_.below(8)) {
    case 0: return 0;
    case 1: return length - 1;
    case 2: return std::min(length - 1, random_.below(length) / per_line * per_line);
    case 3: return std::min(length - 1, random_.below(length) / per_line * per_line + per_line - 1);
    default: return random_.below(length);
  }
}

template <class Item>
std::vector<Item>& random_writes::lend(std::vector<Item> items) {
  auto kept = std::make_shared<std::vector<Item>>(std::move(items));
  lent_bytes_.push_back(std::as_writable_bytes(std::span<Item>(*kept)));
  lent_.push_back(kept);
  return *kept;
}

void random_writes::take_back() {
  for (const std::span<std::byte> bytes : lent_bytes_) {
    std::fill(bytes.begin(), bytes.end(), std::byte{0xee});
  }
  lent_bytes_.clear();
  lent_.clear();
}

template <class Txn>
void random_writes::fill(Txn& txn) {
  const auto call = [&](std::uint32_t target, auto&& visitor) {
    sheaf::visit_dtype(arrays_[target].type, [&]<class T>(std::type_identity<T>) {
      visitor.template operator()<T>();
    });
  };
  const std::uint32_t one = random_.pick(sources_);
  switch (random_.below(10)) {
    case 0:
    case 1:
    case 2: call(one, [&]<class T>() { write_one<T>(txn, one); }); break;
    case 3:
    case 4:
    case 5: {  // everything, or what is there already
      const bool same = random_.chance(15);
      for (const std::uint32_t target : sources_) {
        call(target, [&]<class T>() {
          write_range<T>(txn, target, 0, arrays_[target].length, merge_operator::assign, same);
        });
      }
      break;
    }
    default:
      for (std::uint64_t calls = random_.between(1, 6); calls != 0; --calls) {
        const std::uint32_t target = random_.pick(sources_);
        call(target, [&]<class T>() { write<T>(txn, target); });
      }
  }
}

template <class Txn>
void random_writes::few(Txn& txn) {
  for (std::uint64_t left = random_.between(1, 4); left != 0; --left) {
    const std::uint32_t target = random_.pick(sources_);
    sheaf::visit_dtype(arrays_[target].type, [&]<class T>(std::type_identity<T>) {
      write_one<T>(txn, target);
    });
  }
}

template <element T, class Txn>
void random_writes::write(Txn& txn, std::uint32_t target) {
  const std::uint64_t length = arrays_[target].length;
  switch (random_.below(6)) {
    case 0:
      for (std::uint64_t k = random_.between(1, 20); k != 0; --k) write_one<T>(txn, target);
      break;
    case 1:
    case 2: {
      const std::uint64_t first = index_below(length, arrays_[target].type);
      const std::uint64_t most = random_.chance(50) ? std::min<std::uint64_t>(40, length - first)
                                                    : length - first;
      write_range<T>(txn, target, first, random_.between(0, most),
                     operator_for(arrays_[target].type), random_.chance(10));
      break;
    }
    case 3: write_scatter<T, std::uint32_t>(txn, target); break;
    case 4: write_scatter<T, std::uint64_t>(txn, target); break;
    default: write_lines<T>(txn, target);
  }
}

template <element T, class Txn>
void random_writes::write_one(Txn& txn, std::uint32_t target) {
  const std::uint64_t index = index_below(arrays_[target].length, arrays_[target].type);
  const T value = random_.value<T>();
  const array<T> to(handles_[target].handle());
  const merge_operator op =
      random_.chance(50) ? merge_operator::assign : operator_for(arrays_[target].type);
  if (op == merge_operator::assign) txn.set(to, {.index = index}, value);
  else txn.merge(to, op, {.index = index}, value);
  naive_.write(target, op, index, sheaf::to_bits(value));
}

template <element T, class Txn>
void random_writes::write_range(Txn& txn, std::uint32_t target, std::uint64_t first,
                                std::uint64_t count, merge_operator op, bool same) {
  std::vector<T> values(count);
  if (same) {
    const column& now = naive_.columns()[target];
    if (count != 0) std::memcpy(values.data(), now.data() + first * sizeof(T), count * sizeof(T));
  } else {
    for (T& value : values) value = random_.value<T>();
  }
  const array<T> to(handles_[target].handle());
  for (std::uint64_t k = 0; k < count; ++k) {
    naive_.write(target, op, first + k, sheaf::to_bits(values[k]));
  }
  if (random_.chance(50)) {
    txn.range_borrowed(to, {.index = first}, lend(std::move(values)), op);
  } else {
    txn.range(to, {.index = first}, values, op);
    std::fill(values.begin(), values.end(), T{119});
  }
}

template <element T, class Index, class Txn>
void random_writes::write_scatter(Txn& txn, std::uint32_t target) {
  const std::uint64_t length = arrays_[target].length;
  const merge_operator op = operator_for(arrays_[target].type);
  const std::uint64_t count = random_.chance(20) ? random_.between(0, std::min<std::uint64_t>(
                                                                          2 * length, 6000))
                                                 : random_.between(0, 30);
  const bool narrow = random_.chance(30);  // many changes of few elements
  const std::uint64_t base = random_.below(length);
  std::vector<Index> indices;
  std::vector<T> values;
  for (std::uint64_t k = 0; k < count; ++k) {
    const std::uint64_t index = narrow ? std::min(length - 1, base + random_.below(4))
                                       : index_below(length, arrays_[target].type);
    indices.push_back(static_cast<Index>(index));
    values.push_back(random_.value<T>());
    naive_.write(target, op, index, sheaf::to_bits(values.back()));
  }
  const array<T> to(handles_[target].handle());
  if (random_.chance(50)) {
    const std::vector<Index>& where = lend(std::move(indices));
    txn.scatter_borrowed(to, std::span<const Index>(where), lend(std::move(values)), op);
  } else {
    txn.scatter(to, std::span<const Index>(indices), values, op);
    std::fill(indices.begin(), indices.end(), Index{0});
    std::fill(values.begin(), values.end(), T{77});
  }
}

template <element T, class Txn>
void random_writes::write_lines(Txn& txn, std::uint32_t target) {
  const array_recipe& recipe = arrays_[target];
  const sheaf::page_class size =
      recipe.page.value_or(sheaf::default_page(recipe.length, recipe.type));
  const std::uint64_t per_line = sheaf::line_size / sizeof(T);
  const std::uint64_t per_page = sheaf::bytes_of(size) / sizeof(T);
  const auto page = static_cast<std::uint32_t>(random_.below((recipe.length - 1) / per_page + 1));
  const merge_operator op = operator_for(recipe.type);
  sheaf::line_mask mask = random_.word() & sheaf::first_lines(sheaf::lines_of(size));
  if (random_.chance(50)) mask &= random_.word() & random_.word();
  std::vector<std::uint64_t> elements;
  std::vector<std::byte> payload;
  sheaf::for_each_line(mask, [&](unsigned line) {
    const std::uint64_t first = page * per_page + line * per_line;
    const std::uint64_t left = recipe.length > first ? recipe.length - first : 0;
    const auto inside = static_cast<unsigned>(std::min(left, per_line));
    elements.push_back(random_.word() & sheaf::first_lines(inside));
    for (unsigned i = 0; i < per_line; ++i) {
      const T value = random_.value<T>();
      const auto* bytes = reinterpret_cast<const std::byte*>(&value);
      payload.insert(payload.end(), bytes, bytes + sizeof(T));
      if ((elements.back() >> i & 1) == 0) continue;
      naive_.write(target, op, first + i, sheaf::to_bits(value));
    }
  });
  txn.lines(array<T>(handles_[target].handle()), page, mask, elements, payload, op);
  std::fill(payload.begin(), payload.end(), std::byte{0x55});
}

template <class Txn>
status_code random_writes::make_mistake(Txn& txn, const sheaf::any_array& foreign) {
  const std::uint32_t target = random_.pick(sources_);
  return sheaf::visit_dtype(arrays_[target].type, [&]<class T>(std::type_identity<T>) {
    return mistake<T>(txn, target, foreign);
  });
}

template <element T, class Txn>
status_code random_writes::mistake(Txn& txn, std::uint32_t target,
                                   const sheaf::any_array& foreign) {
  const std::uint64_t length = arrays_[target].length;
  const array<T> to(handles_[target].handle());
  const std::vector<T> two(2, T{1});
  const std::vector<std::uint32_t> past{0, static_cast<std::uint32_t>(length)};
  const std::vector<std::uint64_t> far{0, std::uint64_t{1} << 40};
  const std::vector<std::uint64_t> masks{1, 1};
  const std::vector<std::byte> payload(64);
  using other = std::conditional_t<std::is_same_v<T, double>, std::int64_t, double>;
  switch (random_.below(14)) {
    case 0: txn.set(to, {.index = length + random_.below(100)}, T{1}); break;
    case 1: txn.set(to, {.index = ~std::uint64_t{0}}, T{1}); break;
    case 2: txn.range(to, {.index = length - 1}, two); break;
    case 3: txn.range_borrowed(to, {.index = ~std::uint64_t{0}}, two); break;
    case 4: txn.scatter(to, std::span<const std::uint32_t>(past), two); break;
    case 5: txn.scatter_borrowed(to, std::span<const std::uint64_t>(far), two); break;
    case 6:
      txn.scatter(to, std::span<const std::uint64_t>(far).first(1), two);
      return status_code::length_mismatch;
    case 7: txn.lines(to, 1u << 30, 1, std::span(masks).first(1), payload); break;
    case 8:
      txn.lines(to, 0, 1, masks, payload);
      return status_code::length_mismatch;
    case 9: {
      if (derived_.empty()) {
        txn.set(to, {.index = length}, T{1});
        break;
      }
      const std::uint32_t derived = random_.pick(derived_);
      sheaf::visit_dtype(arrays_[derived].type, [&]<class D>(std::type_identity<D>) {
        txn.set(array<D>(handles_[derived].handle()), {}, D{1});
      });
      return status_code::not_a_source;
    }
    case 10:
      txn.set(array<other>(handles_[target].handle()), {}, other{1});
      return status_code::type_mismatch;
    case 11:
      txn.set(array<T>(foreign.handle()), {}, T{1});
      return status_code::foreign_handle;
    case 12: txn.set(array<T>(), {}, T{1}); return status_code::unknown_array;
    default:
      if constexpr (sheaf::float_element<T>) {
        txn.merge(to, merge_operator::bit_xor, {}, T{1});
        return status_code::type_mismatch;
      } else {
        // One bit past the last element of a line; u8 lines fill the word.
        const std::vector<std::uint64_t> wide{~std::uint64_t{0}};
        if (sizeof(T) == 1 || length < sheaf::line_size / sizeof(T)) {
          txn.set(to, {.index = length}, T{1});
          break;
        }
        txn.lines(to, 0, 1, wide, payload);
        return sheaf::status_code::ok;  // either code will do, see the caller
      }
  }
  return status_code::out_of_range;
}

template void random_writes::fill(sheaf::transaction&);
template void random_writes::fill(sheaf::fork_transaction&);
template void random_writes::few(sheaf::transaction&);
template void random_writes::few(sheaf::fork_transaction&);
template status_code random_writes::make_mistake(sheaf::transaction&, const sheaf::any_array&);
template status_code random_writes::make_mistake(sheaf::fork_transaction&,
                                                 const sheaf::any_array&);

}  // namespace model_test
