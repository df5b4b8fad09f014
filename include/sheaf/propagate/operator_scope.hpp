/// \file
/// Tells whether the calling thread is inside an operator, so that a call back into the engine gets
/// the status `reentrant` and not a deadlock.
#pragma once

namespace sheaf::inline v0 {

/// True while a host function of some engine runs on the calling thread.
[[nodiscard]] bool is_inside_operator() noexcept;

}  // namespace sheaf::inline v0
