/// \file
/// An array id is not a frame id.
#include <sheaf/base/id.hpp>

sheaf::frame_id mixed(sheaf::array_id array) { return array; }
