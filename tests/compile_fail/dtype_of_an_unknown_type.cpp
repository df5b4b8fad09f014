/// \file
/// Only the seven element types have a tag.
#include <sheaf/base/dtype.hpp>

auto unknown() { return sheaf::dtype_of<short>; }
