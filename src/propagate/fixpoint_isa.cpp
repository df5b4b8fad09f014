/// \file
/// The fixpoint bodies of one instruction set; compiled once per set, with `SHEAF_ARCH` defined.
/// Constant-initialised, as kernels_isa.cpp.
#include "propagate/bodies/fixpoint.hpp"

#include "propagate/fixpoint/kernel_table.hpp"

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <class S, element T>
constexpr void fill_one(fixpoint_table& table) noexcept {
  if constexpr (has_least_fixpoint<S, T>) {
    table.of[static_cast<unsigned>(S::id)][static_cast<unsigned>(dtype_of<T>)] = {
        &clear_row<S, T>,          &relax_row<S, T>,          &supported_row<S, T>,
        &retract_row<S, T>,        &difference_of_rows<S, T>, &is_zero_weight<S, T>,
        &can_improve_weight<S, T>, &is_monotone_weight<S, T>, &improves_weight<S, T>};
  }
}

template <element T>
constexpr void fill_type(fixpoint_table& table) noexcept {
  fill_one<min_plus, T>(table);
  fill_one<max_plus, T>(table);
  fill_one<max_times, T>(table);
  fill_one<max_min, T>(table);
  fill_one<or_and, T>(table);
  fill_one<and_or, T>(table);
}

[[nodiscard]] constexpr fixpoint_table make_table() noexcept {
  fixpoint_table table{};
  fill_type<float>(table);
  fill_type<double>(table);
  fill_type<std::int32_t>(table);
  fill_type<std::int64_t>(table);
  fill_type<std::uint8_t>(table);
  fill_type<std::uint32_t>(table);
  fill_type<std::uint64_t>(table);
  return table;
}

}  // namespace

extern const fixpoint_table fixpoint_bodies;
constinit const fixpoint_table fixpoint_bodies = make_table();

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
