/// \file
/// The bodies of `fixpoint`, on rows: what one vertex holds, a run of at most 64 lines. One text
/// (src/propagate/bodies/fixpoint.hpp), compiled once per instruction set.
///
/// *Better* is the order of the semiring: a is at least as good as b where a + b = a. A result
/// starts at the semiring's zero and only gets better (growth) until something it rests on is taken
/// away (retraction).
///
/// Rows hold canonical elements; every body keeps them so. A weight is a pointer to one element, or
/// null for the semiring's one. Bodies touch only the lines asked for and return those that
/// changed.
///
/// Thread safety: bodies touch only what they are given.
#pragma once

#include <cstddef>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/isa.hpp>
#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

/// What differs between two states of a row.
struct row_difference {
  line_mask changed = 0;  ///< lines with other bits
  line_mask lost = 0;     ///< of these, lines in which some element is not as good any more
  line_mask gained = 0;   ///< of these, lines in which some element was not as good before
};

struct fixpoint_kernels {
  /// Every element becomes the semiring's zero.
  void (*clear)(std::byte* to, line_mask lines);
  /// to = to + from * weight.
  line_mask (*relax)(std::byte* to, const std::byte* from, const std::byte* weight,
                     line_mask lines);
  /// Lines of `to` in which something equals the contribution that a source row made with `weight`
  /// while it was `before`, and no longer makes now that it is `after` (null: makes none at all).
  line_mask (*supported)(const std::byte* to, const std::byte* before, const std::byte* after,
                         const std::byte* weight, line_mask lines);
  /// Takes exactly that out of `to`, but nothing that `kept` (null: nothing) gives as well:
  /// to = (to without it) + kept.
  line_mask (*retract)(std::byte* to, const std::byte* before, const std::byte* after,
                       const std::byte* weight, const std::byte* kept, line_mask lines);
  row_difference (*difference)(const std::byte* before, const std::byte* after, line_mask lines);
  /// True where this weight is the semiring's zero and annihilates: such an edge gives nothing.
  bool (*is_zero)(const std::byte* weight);
  /// True where `times` with this weight can make a product better than its operand.
  bool (*can_improve)(const std::byte* weight);
  /// True where `times` with this weight never makes a better operand give a worse product.
  bool (*is_monotone)(const std::byte* weight);
  /// True where whatever was derived with `before` is at least as good with `after`.
  bool (*improves)(const std::byte* before, const std::byte* after);
};

/// Null where `id` is not idempotent and monotone on `type`, or this build lacks `set`.
[[nodiscard]] const fixpoint_kernels* fixpoint_kernels_of(isa set, semiring_id id,
                                                          dtype type) noexcept;

}  // namespace sheaf::inline v0
