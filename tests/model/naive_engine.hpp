/// \file
/// The naive engine: what Sheaf promises, in the plainest way. Every array is a flat vector of
/// bytes; a transaction is a list of single elements; after each commit everything derived is
/// computed anew from its definition, element by element, with the scalar rules of
/// sheaf/algebra. It has no pages, lines, masks, frames, levels or kernels, and shares none of the
/// engine's code below the algebra.
///
/// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/graph/host_function.hpp>
#include <sheaf/graph/line_program.hpp>
#include <sheaf/page/delta_operator.hpp>

namespace model_test {

using sheaf::dtype;
using sheaf::element;

using column = std::vector<std::byte>;
inline constexpr std::uint32_t no_array = 0xffff'ffffu;

/// A value of an expression, as a tree.
struct formula {
  enum class form : std::uint8_t { array, element, constant, operation };
  form kind = form::constant;
  dtype type = dtype::f32;
  sheaf::opcode op = sheaf::opcode::copy;
  std::uint32_t array = no_array;
  std::uint64_t bits = 0;  ///< constant: its bits; element: its index
  std::vector<formula> arguments = {};
};

struct group_table {
  std::vector<std::vector<std::uint32_t>> groups;
  std::vector<std::uint32_t> segment_of_element;  ///< where the groups were declared by ids
};

/// A group of arrays of consecutive numbers that are defined by each other, in circles.
struct circle_term {
  std::uint32_t to;     ///< which member it is a term of, from 0
  std::uint32_t array;  ///< a member, or an array of smaller number than the first
  bool is_plain;        ///< weighs the semiring's one
  std::uint64_t weight_bits;
};
struct circle_table {
  std::uint32_t first = 0;  ///< number of the first member
  std::uint32_t count = 0;
  std::vector<circle_term> terms;
};

enum class array_form : std::uint8_t {
  source, expression, combine, combine_terms, reduce, segment_reduce, gather, host,
  product,  ///< spmv, stencil, gemv, matmul
  scan, histogram, sort_index, top_k, gather_at, delay,
  circle,   ///< a member of a fixpoint group
  dropped,  ///< was taken out of the graph; its number is never used again
};

struct product_recipe;

/// One array and what it is derived from: never itself, not through others either, but for delays,
/// which follow any.
struct array_recipe {
  std::string name;
  dtype type = dtype::f32;
  std::uint64_t length = 1;
  array_form form = array_form::source;
  bool lazy = false;
  bool is_fixed = false;        ///< random edits leave it alone
  std::uint32_t version = 0;    ///< how often it was redefined
  bool declared_first = false;  ///< for the builder: declared before everything, defined last
  std::optional<sheaf::page_class> page = {};  ///< for the builder
  sheaf::semiring_id semiring = sheaf::semiring_id::sum_product;
  std::vector<formula> values = {};    ///< combine: operands; expression and folds: the one
  std::vector<formula> weights = {};   ///< combine_terms
  std::shared_ptr<const group_table> groups = {};
  std::shared_ptr<const circle_table> circle = {};  ///< circle: of all members
  std::vector<std::uint32_t> indices = {};   ///< gather
  std::shared_ptr<const product_recipe> product = {};
  std::vector<std::uint32_t> operands = {};  ///< gather, host, product: arrays; gather_at: values,
                                             ///< indices;
                                             ///< delay: what it follows
  std::vector<std::uint32_t> starts = {};    ///< scan: where segments begin
  bool exclusive = false;                    ///< scan
  bool clamp = false;                        ///< histogram
  bool descending = false;                   ///< sort_index, top_k
  std::vector<std::uint64_t> edges = {};     ///< histogram: bits, of the type of values[0]
  std::uint64_t initial = 0;                 ///< delay: bits
};

/// What every host function of the tests computes; both engines' host code is this one function.
[[nodiscard]] column host_rule(dtype type, std::uint64_t length,
                               std::span<const sheaf::host_operand> operands);

class naive_engine {
 public:
  /// All sources zero, everything derived computed, epoch 1. `arrays` outlives the engine.
  explicit naive_engine(const std::vector<array_recipe>& arrays);

  /// Another length for a source, at once: what is cut off is forgotten, new elements are zero.
  void resize(std::uint32_t array, std::uint64_t length);
  struct resized {
    std::uint32_t array;
    std::uint64_t length;
  };
  /// Every call of `resize` so far.
  [[nodiscard]] const std::vector<resized>& resizes() const { return resizes_; }
  /// From the next transaction on another graph over the same numbers, with more behind them.
  /// Sources have their lengths by then; the new ones are zero.
  void change_graph(const std::vector<array_recipe>& arrays);

  /// One element of the transaction that `prepare` applies.
  void write(std::uint32_t array, sheaf::merge_operator op, std::uint64_t index,
             std::uint64_t bits);
  /// Forgets the transaction.
  void drop() { pending_.clear(); }
  /// Forgets all of it but the first `count` elements.
  void keep_first(std::size_t count) { pending_.resize(count); }
  /// Applies the transaction and recomputes everything, aside.
  void prepare();
  /// After `prepare`: the bits of `array` will change.
  [[nodiscard]] bool changes(std::uint32_t array) const {
    return columns_[array] != next_[array];
  }
  /// Publishes what `prepare` computed.
  void publish();
  /// The commit failed: its epoch is spent, nothing else happened.
  void refuse();
  /// It was turned away before it had an epoch.
  void turn_away();
  /// A commit that failed took an epoch; nothing was prepared.
  void spend() { ++last_number_; }

  /// What is written so far fits the lengths that sources have.
  [[nodiscard]] bool writes_fit(const std::vector<array_recipe>& arrays) const;
  [[nodiscard]] const std::vector<column>& prepared_columns() const { return next_; }
  [[nodiscard]] const std::vector<array_recipe>& arrays() const { return *arrays_; }

  [[nodiscard]] const std::vector<column>& columns() const { return columns_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  /// One element of a published transaction of a fork.
  struct change {
    std::uint32_t array;
    sheaf::merge_operator op;
    std::uint64_t index;
    std::uint64_t bits;
    std::uint64_t number;  ///< no two have the same
  };
  /// A fork: from now on a copy that remembers what changes it, from a state given by its graph and
  /// its columns.
  [[nodiscard]] naive_engine fork_at(const std::vector<array_recipe>& arrays,
                                     const std::vector<column>& columns) const;
  /// What the next `prepare` applies, and what the last one applied.
  [[nodiscard]] const std::vector<change>& pending() const { return pending_; }
  [[nodiscard]] const std::vector<change>& applied() const { return prepared_; }
  /// What changed a fork since its base, those it was forked from included.
  [[nodiscard]] const std::vector<change>& changes_since_base() const { return remembered_; }
  /// Writes changes of a fork once more.
  void write_again(std::span<const change> changes);

 private:
  void see_graph(const std::vector<array_recipe>* before);

  const std::vector<array_recipe>* arrays_;
  std::vector<std::uint32_t> order_;  ///< live arrays, each behind what it reads
  std::vector<column> columns_;
  std::vector<column> next_;
  std::vector<change> pending_;
  std::vector<change> prepared_;
  std::vector<change> remembered_;
  bool is_fork_ = false;
  std::uint64_t epoch_ = 1;
  std::uint64_t last_number_ = 1;
  bool has_delay_ = false;
  bool graph_changed_ = false;
  std::vector<resized> resizes_;
  std::vector<column> before_;           ///< while the graph changes: what delays look back at
  std::vector<bool> is_fresh_;  ///< by array: a delay that begins
};

/// Writes one element of an array of `type`.
void apply_change(dtype type, const naive_engine::change& one, column& to);

}  // namespace model_test
