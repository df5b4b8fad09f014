/// \file
/// The right way: compiles without a warning.
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/result.hpp>

sheaf::status checked(sheaf::frame_id frame) {
  const sheaf::frame_id copy = frame;
  if (copy == sheaf::no_frame) {
    return {sheaf::status_code::out_of_range, sheaf::subsystem::base, "no frame"};
  }
  return {};
}

bool used() {
  static_assert(sheaf::dtype_of<float> == sheaf::dtype::f32);
  return checked(sheaf::frame_id{1}).is_ok();
}
