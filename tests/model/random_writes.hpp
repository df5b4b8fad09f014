/// \file
/// Random transactions: the same writes to an engine's transaction and to the naive engine.
///
/// Thread safety: none.
#pragma once

#include <memory>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "model/dice.hpp"
#include "model/naive_engine.hpp"

namespace model_test {

class random_writes {
 public:
  random_writes(dice& random, const std::vector<array_recipe>& arrays,
                const std::vector<sheaf::any_array>& handles, naive_engine& naive);

  /// One element; everything; a handful of calls; or what is there already.
  template <class Txn>  // of an engine or of a fork
  void fill(Txn& txn);
  /// One to four single elements.
  template <class Txn>
  void few(Txn& txn);
  /// One call that must be refused; returns the code it must be refused with. The naive engine does
  /// not hear of it.
  template <class Txn>
  [[nodiscard]] sheaf::status_code make_mistake(Txn& txn, const sheaf::any_array& foreign);
  /// After the commit: overwrites and frees what was lent to the transaction.
  void take_back();

 private:
  template <element T, class Txn>
  void write(Txn& txn, std::uint32_t target);
  template <element T, class Txn>
  void write_one(Txn& txn, std::uint32_t target);
  template <element T, class Txn>
  void write_range(Txn& txn, std::uint32_t target, std::uint64_t first,
                   std::uint64_t count, sheaf::merge_operator op, bool same);
  template <element T, class Index, class Txn>
  void write_scatter(Txn& txn, std::uint32_t target);
  template <element T, class Txn>
  void write_lines(Txn& txn, std::uint32_t target);
  template <element T, class Txn>
  sheaf::status_code mistake(Txn& txn, std::uint32_t target,
                             const sheaf::any_array& foreign);

  sheaf::merge_operator operator_for(dtype type);
  std::uint64_t index_below(std::uint64_t length, dtype type);
  template <class Item>
  std::vector<Item>& lend(std::vector<Item> items);

  dice& random_;
  const std::vector<array_recipe>& arrays_;
  const std::vector<sheaf::any_array>& handles_;
  naive_engine& naive_;
  std::vector<std::uint32_t> sources_;
  std::vector<std::uint32_t> derived_;
  std::vector<std::shared_ptr<void>> lent_;
  std::vector<std::span<std::byte>> lent_bytes_;
};

}  // namespace model_test
