/// \file
/// Compiled once per instruction set: the bodies of stencil. Invariant as in kernels_isa.cpp.
#include "propagate/bodies/stencil.hpp"
#include "propagate/ring_table.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {

extern const ring_table<stencil_bodies> stencil_kernels;
constinit const ring_table<stencil_bodies> stencil_kernels = make_ring_table<stencil_bodies>(
    []<class S, element T>(S, std::type_identity<T>) -> stencil_bodies {
      return {&stencil_lines<S, T>, &stencil_present<S, T>};
    });

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
