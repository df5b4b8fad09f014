/// \file
/// The model: what a host declares before it opens an engine: source arrays, and arrays derived
/// from them. Nothing fails here. A mistake is remembered, the declaration still returns a handle,
/// and `compile` (and so `engine::open`) reports all mistakes at once.
///
/// After `open` the engine's graph is edited through `transaction::graph`, which is a model, too.
///
/// Invariants
/// 1. A handle a model returned names the same array for ever, also in engines opened before a
/// later edit of the model.
///  2. Data shared with an engine never change: the next edit copies them first.
///
/// Thread safety: one thread at a time per model.
/// Cost: declaring and compiling a node of fan-in 4 costs less than 100 ns
/// (`bench/graph/build_bench`); a named array costs the copy of its name and a hash at check time.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/graph/array.hpp>
#include <sheaf/graph/definition.hpp>
#include <sheaf/graph/host_function.hpp>
#include <sheaf/graph/keyed.hpp>
#include <sheaf/graph/model_data.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/graph/sequence.hpp>

namespace sheaf::inline v0 {

enum class evaluation : std::uint8_t {
  eager,  ///< kept current by every commit
  lazy,   ///< computed when a snapshot reads it; no eager array may read it
};

/// How an array's pages lie in memory.
enum class layout : std::uint8_t {
  paged,       ///< each by itself, changed page by page; a view is a range of pages
  contiguous,  ///< side by side: `view::flat` is one span. Takes twice the memory as soon as a
               ///< snapshot is open while it changes: two whole versions take turns, catching up by
               ///< the lines that differ. A third version pinned at once costs a copy of everything
               ///< (`work_counters::runs_copied`).
};

struct array_options {
  std::optional<page_class> page = {};  ///< default: the smallest that holds the array, at most 4
                                        ///< KiB
  sheaf::layout layout = sheaf::layout::paged;
};
struct derive_options {
  evaluation when = evaluation::eager;
  /// Default: that of the operand with the largest pages among those that meet the result element
  /// by element; without one as in `array_options`.
  std::optional<page_class> page = {};
  /// Contiguous: not for lazy arrays.
  sheaf::layout layout = sheaf::layout::paged;
};

/// The page class an array of `length` elements gets by default.
[[nodiscard]] page_class default_page(std::uint64_t length, dtype type) noexcept;

class model {
 public:
  model();
  /// Continues from what an engine has (`engine::declared`); edits leave that as it is.
  explicit model(std::shared_ptr<const model_data> from);
  ~model();
  model(model&&) noexcept;
  model& operator=(model&&) noexcept;
  model(const model&) = delete;
  model& operator=(const model&) = delete;

  /// An array the host writes; zero at first. `name` may be empty (shown as "#id"), must not hold
  /// '#', and is unique in the model.
  template <element T>
  array<T> source(std::string_view name, std::uint64_t length, array_options options = {}) {
    return array<T>(add_source(name, length, dtype_of<T>, options));
  }

  /// A keyed source (keyed.hpp) of at most `rows` keys, 1 to 2^31: `std::uint64_t`, or
  /// `std::string_view` of at most `key_size_max` bytes. It adds a few arrays that are called after
  /// it.
  template <class Key>
  keyed<Key> keyed_source(std::string_view name, std::uint64_t rows,
                          std::uint32_t key_size_max = 32) {
    const bool is_bytes = std::same_as<Key, std::string_view>;
    return keyed<Key>(add_keyed(name, rows, is_bytes ? key_size_max : 0, is_bytes));
  }

  /// An array computed from others; as long as its longest operand.
  template <element T>
  array<T> derive(std::string_view name, const definition<T>& computed,
                  derive_options options = {}) {
    return array<T>(add_derived(name, computed.data(), dtype_of<T>, options));
  }
  template <expression_operand X>
  auto derive(std::string_view name, X&& computed, derive_options options = {}) {
    using T = expression_value<X>;
    return derive(name, definition<T>(expression<T>(std::forward<X>(computed))), options);
  }

  /// An array to be defined later, so that others can use it before. Never defined: a mistake.
  template <element T>
  array<T> declare(std::string_view name, std::uint64_t length, array_options options = {}) {
    return array<T>(add_declared(name, length, dtype_of<T>, options));
  }
  /// Defines a declared array, once.
  template <element T>
  void define(array<T> declared, const std::type_identity_t<definition<T>>& computed,
              evaluation when = evaluation::eager) {
    define_declared(declared.handle(), computed.data(), dtype_of<T>, when);
  }

  /// Defines declared arrays of one length together: the least solution of their definitions, in
  /// which they may read each other in circles. Terms over members are the edges, weighed by
  /// constants; all other terms make what comes in from outside. See `sheaf::fixpoint` for the
  /// semirings, errors and cost; the group is one node, a member reads its row of it.
  template <element T>
  void fixpoint(semiring_id semiring, std::span<const fixpoint_member<T>> members,
                const fixpoint_group_options& options = {}) {
    std::vector<fixpoint_member_data> data;
    for (const fixpoint_member<T>& member : members) data.push_back(member.data());
    define_group(semiring, data, dtype_of<T>, options);
  }
  template <element T>
  void fixpoint(semiring_id semiring, std::initializer_list<fixpoint_member<T>> members,
                const fixpoint_group_options& options = {}) {
    fixpoint(semiring, std::span<const fixpoint_member<T>>(members.begin(), members.size()),
             options);
  }

  /// An array computed by `function` from whole arrays.
  template <element T>
  array<T> derive_host(std::string_view name, std::uint64_t length,
                       std::span<const any_array> operands, host_function function,
                       derive_options options = {}) {
    return array<T>(
        add_host(name, length, dtype_of<T>, operands, std::move(function), options));
  }
  template <element T>
  array<T> derive_host(std::string_view name, std::uint64_t length,
                       std::initializer_list<any_array> operands, host_function function,
                       derive_options options = {}) {
    return derive_host<T>(name, length,
                          std::span<const any_array>(operands.begin(), operands.size()),
                          std::move(function), options);
  }

  /// Replaces the definition of a derived array, which keeps its name, type and page class. Its
  /// length is that of the new definition; what reads it follows as with `resize`. `when`: default
  /// as before.
  template <element T>
  array<T> redefine(array<T> target, const std::type_identity_t<definition<T>>& computed,
                    std::optional<evaluation> when = {}) {
    return array<T>(redefine_array(target.handle(), computed.data(), dtype_of<T>, when));
  }
  /// The same by a host function; `length`: default as before.
  template <element T>
  array<T> redefine_host(array<T> target, std::initializer_list<any_array> operands,
                         host_function function, std::optional<std::uint64_t> length = {}) {
    return array<T>(redefine_array(target.handle(),
                                   std::span<const any_array>(operands.begin(), operands.size()),
                                   std::move(function), dtype_of<T>, length));
  }
  /// Gives an array another name; handles stay good. The old name is free.
  void rename(const any_array& target, std::string_view name) {
    rename_array(target.handle(), name);
  }
  /// Takes an array out. A mistake while some definition reads it that is not dropped or redefined
  /// as well. Its name is free; its id is never used again.
  void drop(const any_array& target) { drop_array(target.handle()); }
  /// Another length for a source or the result of a host function; new elements of a source are
  /// zero. Derived arrays follow where their definition says how: element by element, reductions,
  /// and index tables whose items are still there. For others it is a mistake, unless they are
  /// redefined or dropped as well. Returns the handle with the new size; old ones stay good.
  template <element T>
  array<T> resize(array<T> target, std::uint64_t length) {
    return array<T>(resize_array(target.handle(), length));
  }
  /// The array with this name: `unknown_array`, `type_mismatch`.
  template <element T>
  [[nodiscard]] result<array<T>> find(std::string_view name) const {
    auto found = find_array(*data(), name, dtype_of<T>);
    if (!found) return found.error();
    return array<T>(*found);
  }

  /// Every mistake of the declarations so far, in order of declaration, then those of the whole:
  /// duplicate names, undefined arrays, eager over lazy, missing operators, cycles. O(model).
  [[nodiscard]] std::vector<status> mistakes() const;
  /// The plan; or, where there are mistakes, one status: the mistake itself if it is the only one,
  /// else the code of the first with a count and as many as the detail holds. O(model).
  [[nodiscard]] result<std::shared_ptr<const plan>> compile() const;
  /// The graph in the DOT language: sources as boxes, hidden arrays dashed, lazy ones dotted.
  [[nodiscard]] std::string to_dot() const;

  /// What engines share. O(names) after an edit, else O(1).
  [[nodiscard]] std::shared_ptr<const model_data> data() const;
  /// Unique among the models of the process, never 0.
  [[nodiscard]] std::uint32_t tag() const noexcept;
  /// Arrays declared so far, hidden ones included.
  [[nodiscard]] std::uint32_t array_count() const noexcept;
  /// What is declared so far, lengths not yet followed; changes with every edit.
  [[nodiscard]] const model_data& records() const noexcept;

 private:
  struct state;

  array_handle add_source(std::string_view name, std::uint64_t length, dtype type,
                          array_options options);
  keyed_arrays add_keyed(std::string_view name, std::uint64_t rows, std::uint32_t key_size_max,
                         bool is_bytes);
  array_handle add_derived(std::string_view name, const definition_data& computed, dtype type,
                           derive_options options);
  array_handle add_declared(std::string_view name, std::uint64_t length, dtype type,
                            array_options options);
  void define_declared(const array_handle& declared, const definition_data& computed, dtype type,
                       evaluation when);
  bool admit_defined(const array_handle& declared, dtype type);
  void define_group(semiring_id semiring, std::span<const fixpoint_member_data> members,
                    dtype type, const fixpoint_group_options& options);
  array_handle add_host(std::string_view name, std::uint64_t length, dtype type,
                        std::span<const any_array> operands, host_function function,
                        derive_options options);
  array_handle redefine_array(const array_handle& target, const definition_data& computed,
                              dtype type, std::optional<evaluation> when);
  array_handle redefine_array(const array_handle& target, std::span<const any_array> operands,
                              host_function function, dtype type,
                              std::optional<std::uint64_t> length);
  void rename_array(const array_handle& target, std::string_view name);
  void drop_array(const array_handle& target);
  array_handle resize_array(const array_handle& target, std::uint64_t length);

  std::unique_ptr<state> state_;
};

/// The array of `data` with this name and type: `unknown_array`, `type_mismatch`.
[[nodiscard]] result<array_handle> find_array(const model_data& data, std::string_view name,
                                              dtype type);

}  // namespace sheaf::inline v0
