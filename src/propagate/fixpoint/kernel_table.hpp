/// \file
/// All fixpoint bodies of one instruction set.
#pragma once

#include <sheaf/propagate/fixpoint_kernels.hpp>

namespace sheaf::inline v0 {

struct fixpoint_table {
  fixpoint_kernels of[semiring_count][dtype_count];  ///< all null where undefined
};

}  // namespace sheaf::inline v0
