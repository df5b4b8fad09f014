/// \file
/// The kernel table of one instruction set. The build compiles this file once per set, with
/// `SHEAF_ARCH` defined; the bodies lie in `bodies/`.
///
/// Invariant: the table is constant-initialised, so no code of this file runs before the machine
/// was asked whether it has the set. All else here has internal linkage.
#include "propagate/bodies/combine.hpp"
#include "propagate/bodies/fold.hpp"
#include "propagate/bodies/gather.hpp"
#include "propagate/bodies/manifest.hpp"
#include "propagate/bodies/math.hpp"
#include "propagate/bodies/program.hpp"
#include "propagate/bodies/run.hpp"
#include "propagate/bodies/settle.hpp"

#include <sheaf/algebra/semiring.hpp>

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {
namespace {

template <class S, element T>
constexpr void fill_semiring(kernel_table& table) noexcept {
  if constexpr (S::supports(dtype_of<T>)) {
    constexpr auto s = static_cast<unsigned>(S::id);
    constexpr auto t = static_cast<unsigned>(dtype_of<T>);
    table.combine[s][t] = &combine_page<S, T>;
    table.combine_weighted[s][t] = &combine_weighted_page<S, T>;
    table.fold_lines[s][t] = &fold_page_lines<S, T>;
    table.fold_blocks[s][t] = &fold_page_blocks<S, T>;
    table.segment_fold[s][t] = &fold_segments<S, T>;
  }
}

template <class S, element T>
constexpr void fill_math_semiring(kernel_table& table) noexcept {
  if constexpr (S::supports(dtype_of<T>)) {
    constexpr auto s = static_cast<unsigned>(S::id);
    constexpr auto t = static_cast<unsigned>(dtype_of<T>);
    using bodies = math_semiring<S, T>;
    table.combine[s][t] = &bodies::combine;
    table.combine_weighted[s][t] = &bodies::combine_weighted;
    table.fold_lines[s][t] = &bodies::fold_lines;
    table.fold_blocks[s][t] = &bodies::fold_blocks;
    table.segment_fold[s][t] = &bodies::segment_fold;
  }
}

template <class S, element T>
constexpr void fill_run(kernel_table& table) noexcept {
  table.run_of_four[static_cast<unsigned>(S::id)][static_cast<unsigned>(dtype_of<T>)] =
      &run_nodes<inlined_fold<S, T>>;
}

template <element T>
constexpr void fill_type(kernel_table& table) noexcept {
  fill_semiring<sum_product, T>(table);
  fill_semiring<min_plus, T>(table);
  fill_semiring<max_plus, T>(table);
  fill_semiring<max_times, T>(table);
  fill_semiring<max_min, T>(table);
  fill_semiring<or_and, T>(table);
  fill_semiring<and_or, T>(table);
  fill_semiring<xor_and, T>(table);
  fill_math_semiring<counting, T>(table);
  fill_math_semiring<log_sum_exp, T>(table);
  table.settle[static_cast<unsigned>(dtype_of<T>)] = &settle_page<T>;
  table.program[static_cast<unsigned>(dtype_of<T>)] = &run_program<T>;
}

[[nodiscard]] constexpr kernel_table make_table() noexcept {
  kernel_table table{};
  table.set = static_cast<isa>(SHEAF_ARCH_LEVEL);
  fill_type<float>(table);
  fill_type<double>(table);
  fill_type<std::int32_t>(table);
  fill_type<std::int64_t>(table);
  fill_type<std::uint8_t>(table);
  fill_type<std::uint32_t>(table);
  fill_type<std::uint64_t>(table);
  table.run = &run_nodes<any_fold>;
  fill_run<sum_product, float>(table);
  fill_run<sum_product, double>(table);
  fill_run<min_plus, float>(table);
  fill_run<max_plus, float>(table);
  table.gather[0] = &gather_elements<std::uint8_t>;
  table.gather[2] = &gather_elements<std::uint32_t>;
  table.gather[3] = &gather_elements<std::uint64_t>;
  for (unsigned op = 0; op < opcode_count; ++op) {
    for (unsigned t = 0; t < dtype_count; ++t) table.step[op][t] = steps.step[op][t];
  }
  for (unsigned from = 0; from < dtype_count; ++from) {
    for (unsigned to = 0; to < dtype_count; ++to) table.cast[from][to] = steps.cast[from][to];
  }
  table.manifest = manifest;
  table.manifest_count = sizeof manifest / sizeof manifest[0];
  return table;
}

}  // namespace

extern const kernel_table kernels;
constinit const kernel_table kernels = make_table();

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
