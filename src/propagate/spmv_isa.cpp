/// \file
/// Compiled once per instruction set: the bodies of spmv. Invariant as in kernels_isa.cpp.
#include "propagate/bodies/spmv.hpp"
#include "propagate/ring_table.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {

extern const ring_table<spmv_body> spmv_bodies;
constinit const ring_table<spmv_body> spmv_bodies =
    make_ring_table<spmv_body>([]<class S, element T>(S, std::type_identity<T>) -> spmv_body {
      return &spmv_page<S, T>;
    });

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
