/// \file
/// The semirings that `bodies/math.hpp` declares, for one instruction set.
#include "propagate/bodies/combine.hpp"
#include "propagate/bodies/fold.hpp"
#include "propagate/bodies/math.hpp"

#include <sheaf/algebra/semiring.hpp>

namespace sheaf::inline v0 {
inline namespace SHEAF_ARCH {

template <class S, element T>
line_mask math_semiring<S, T>::combine(const line_task& task, const std::byte* const* values,
                                       std::uint32_t count) {
  return combine_page<S, T>(task, values, count);
}
template <class S, element T>
line_mask math_semiring<S, T>::combine_weighted(const line_task& task, const operand_view* values,
                                                const operand_view* weights,
                                                std::uint32_t count) {
  return combine_weighted_page<S, T>(task, values, weights, count);
}
template <class S, element T>
void math_semiring<S, T>::fold_lines(std::byte* results, const std::byte* page, line_mask mask,
                                     std::uint32_t tail_line, std::uint32_t tail_elements) {
  fold_page_lines<S, T>(results, page, mask, tail_line, tail_elements);
}
template <class S, element T>
void math_semiring<S, T>::fold_blocks(std::byte* results, const std::byte* page,
                                      std::uint32_t valid, std::uint32_t begin,
                                      std::uint32_t end) {
  fold_page_blocks<S, T>(results, page, valid, begin, end);
}
template <class S, element T>
void math_semiring<S, T>::segment_fold(std::byte* results, std::uint64_t elements,
                                       const paged_view& operand, const std::uint32_t* offsets,
                                       const std::uint32_t* indices) {
  fold_segments<S, T>(results, elements, operand, offsets, indices);
}

template struct math_semiring<counting, std::uint8_t>;
template struct math_semiring<counting, std::uint32_t>;
template struct math_semiring<counting, std::uint64_t>;
template struct math_semiring<log_sum_exp, float>;
template struct math_semiring<log_sum_exp, double>;

}  // inline namespace SHEAF_ARCH
}  // namespace sheaf::inline v0
