/// \file
/// What a host process may do to a GPU behind an engine's back, with a CUDA runtime of its own: run
/// kernels that trap or that keep every multiprocessor busy, use memory, streams and contexts. No
/// kernel runs longer than it is told, by the device's clock.
///
/// Thread safety: one thread. Functions that return words return none where all went well.
#pragma once

#include <cstdint>
#include <string>

namespace sheaf_test {

/// Starts the runtime on device 0 and loads every kernel of this file.
[[nodiscard]] std::string start_runtime();

/// Launches, on a stream of its own, a kernel that waits so long and then traps; returns at once.
[[nodiscard]] std::string launch_trap(double after_microseconds);
/// Waits until the device says that it failed.
[[nodiscard]] bool device_fails_within(double seconds);

/// Launches a kernel that takes every multiprocessor whole for so long; returns when it has them.
[[nodiscard]] std::string launch_hog(double seconds);

/// Allocates, runs a kernel on a stream with an event, checks what came back, frees.
[[nodiscard]] std::string use_runtime(std::uint32_t seed);

/// What is current on the calling thread: the driver's context, the runtime's device.
[[nodiscard]] void* current_context();
[[nodiscard]] int current_device();
/// A context of the driver's, made current on the calling thread; null where it is refused.
[[nodiscard]] void* push_own_context();
void drop_own_context(void* context);

}  // namespace sheaf_test
