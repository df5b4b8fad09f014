/// \file
/// Compiled once per instruction set: the bodies of gemv and matmul. Invariant as in
/// kernels_isa.cpp.
#include "propagate/bodies/gemv.hpp"
#include "propagate/bodies/matmul.hpp"
#include "propagate/ring_table.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {

extern const ring_table<dense_bodies> dense_kernels;
constinit const ring_table<dense_bodies> dense_kernels = make_ring_table<dense_bodies>(
    []<class S, element T>(S, std::type_identity<T>) -> dense_bodies {
      return {&gemv_rows<S, T>, &matmul_of<S, T>};
    });

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
