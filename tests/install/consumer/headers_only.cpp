#include <sheaf/base/dtype.hpp>
#include <sheaf/base/line_mask.hpp>

static_assert(sheaf::first_lines(3) == 7);
static_assert(sheaf::size_of(sheaf::dtype::f64) == 8);
