/// \file
/// The process-wide registry of custom operators. An operator is known by name and version; a model
/// refers to it by a dense number, which it gets on first mention, registered or not, so that
/// declaring a model and loading operators may happen in any order. `model::compile` reports the
/// operators that are still missing, and those that were refused.
///
/// Invariants
///  1. A number once given to (name, version) never names anything else.
///  2. An operator whose bodies contract multiply-adds is never usable: promise P1 would break.
///
/// Thread safety: every function may be called from any thread. Registering takes a lock; `find`
/// and `body` read under the same lock and are meant for compile time, not for the commit path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/isa.hpp>
#include <sheaf/base/result.hpp>

namespace sheaf::inline v0 {

/// The identity of a custom operator.
struct operator_id {
  const char* name;
  std::uint32_t version;
};

inline constexpr unsigned operator_arity_max = 3;

/// Computes `lines` consecutive lines (1 to `chunk_lines`) of one element type. `arguments` are
/// line-aligned chunks of that many lines; `destination` may be one of them.
using operator_step = void (*)(std::byte* destination, const std::byte* const* arguments,
                               std::uint32_t lines);
/// `a * b + c` as the flags of the operator's own file compile it.
using contraction_probe = double (*)(double a, double b, double c);

/// The bodies of one operator for one element type, by `isa`; null where the build lacks the set.
struct operator_kernels {
  dtype type;
  operator_step body[isa_count];
};

/// What one generated file registers. Everything pointed to must live as long as the process.
struct operator_description {
  operator_id id;
  unsigned arity;  ///< 1 to `operator_arity_max`
  std::span<const operator_kernels> kernels;
  contraction_probe probes[isa_count];  ///< null where the build lacks the set
};

/// Makes an operator usable. Registering the same content again is good.
///  - `invalid_argument`: no name, arity out of range, no bodies, or a probe or scalar body missing
///  - `contraction`: a probe of an available instruction set fuses; names operator and set
///  - `duplicate_name`: the same name and version is registered with other content
/// A refusal is remembered and reported by every model that uses the operator.
status register_operator(const operator_description& description) noexcept;

/// What is known about an operator number.
struct operator_entry {
  std::string_view name;  ///< lives as long as the process
  std::uint32_t version;
  unsigned arity;     ///< 0 while not registered
  status refusal;     ///< why it was refused, if it was
};

/// The number of (name, version), given now if it has none.
[[nodiscard]] std::uint32_t intern_operator(operator_id id);
/// `operator_missing` names an operator that was never mentioned.
[[nodiscard]] result<std::uint32_t> find_operator(std::string_view name, std::uint32_t version);
/// What number `index` stands for; `index` must come from `intern_operator` or `find_operator`.
[[nodiscard]] operator_entry operator_at(std::uint32_t index);
/// The body for `type` on `set`; null where there is none.
[[nodiscard]] operator_step operator_body(std::uint32_t index, dtype type, isa set) noexcept;
/// Operators mentioned so far.
[[nodiscard]] std::uint32_t operator_count() noexcept;

}  // namespace sheaf::inline v0
