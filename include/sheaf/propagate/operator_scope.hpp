/// \file
/// Tells whether the calling thread is inside an operator, so that a call back into the engine gets
/// the status `reentrant` and not a deadlock.
#pragma once

namespace sheaf::inline v0 {

/// True while a host function of some engine runs on the calling thread.
[[nodiscard]] bool is_inside_operator() noexcept;

/// While one lives, its thread is inside an operator.
class operator_scope {
 public:
  operator_scope() noexcept;
  ~operator_scope();
  operator_scope(const operator_scope&) = delete;
  operator_scope& operator=(const operator_scope&) = delete;
};

}  // namespace sheaf::inline v0
