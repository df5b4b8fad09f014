/// \file
/// The bodies of batches: what computes sixteen bytes of a result, as types, and which of them a
/// batch needs.
///
/// Thread safety: pure functions. Cost: see elements.hpp and program.hpp.
#pragma once

#include "cuda/propagate/unit.hpp"

namespace sheaf::inline v0 {

/// combine: quads of all operands, folded side by side.
template <class S>
struct combine_quads {
  template <element T>
  [[nodiscard]] SHEAF_HD static elements_of<T> make(const element_source& from,
                                                    std::uint64_t first) noexcept {
    constexpr unsigned count = elements_of<T>::count;
    using bits = bits_of<T>;
    const std::uint32_t terms =
        from.op.weighted ? from.op.operand_count / 2 : from.op.operand_count;
    elements_of<T> sum = as_elements<T>(load_aligned<bits>(from, 0, first));
    if (from.op.weighted) {
      const auto weight = as_elements<T>(load_aligned<bits>(from, terms, first));
      for (unsigned i = 0; i < count; ++i) sum.at[i] = S::times(sum.at[i], weight.at[i]);
    }
    for (std::uint32_t k = 1; k < terms; ++k) {
      const auto value = as_elements<T>(load_aligned<bits>(from, k, first));
      if (!from.op.weighted) {
        for (unsigned i = 0; i < count; ++i) sum.at[i] = S::plus(sum.at[i], value.at[i]);
        continue;
      }
      const auto weight = as_elements<T>(load_aligned<bits>(from, terms + k, first));
      for (unsigned i = 0; i < count; ++i) {
        sum.at[i] = S::plus_times(sum.at[i], value.at[i], weight.at[i]);
      }
    }
    return sum;
  }
};

struct program_quads {
  template <element T>
  [[nodiscard]] SHEAF_HD static elements_of<T> make(const element_source& from,
                                                    std::uint64_t first) noexcept {
    return as_elements<T>(run_program<bits_of<T>>(from, first));
  }
};

/// Of elements that do not depend on one another; none past the end of the array is computed.
template <class F>
struct one_by_one {
  template <element T>
  [[nodiscard]] SHEAF_HD static elements_of<T> make(const element_source& from,
                                                    std::uint64_t first) noexcept {
    elements_of<T> made{};
    // Unrolled, a body would be sixteen times in a kernel of bytes.
    SHEAF_ROLLED
    for (unsigned i = 0; i < elements_of<T>::count; ++i) {
      if (first + i < from.op.length) made.at[i] = F::template of<T>(from, first + i);
    }
    return made;
  }
};

#define SHEAF_RING_ELEMENT(NAME, FUNCTION)                                                      \
  template <class S>                                                                            \
  struct NAME {                                                                                 \
    template <element T>                                                                        \
    [[nodiscard]] SHEAF_HD static T of(const element_source& from, std::uint64_t at) noexcept { \
      return FUNCTION<S, T>(from, at);                                                          \
    }                                                                                           \
  };
SHEAF_RING_ELEMENT(of_lines, fold_lines_element)
SHEAF_RING_ELEMENT(of_blocks, fold_blocks_element)
SHEAF_RING_ELEMENT(of_segments, segment_element)
SHEAF_RING_ELEMENT(of_rows, spmv_element)
SHEAF_RING_ELEMENT(of_dense_rows, gemv_element)
SHEAF_RING_ELEMENT(of_products, matmul_element)
SHEAF_RING_ELEMENT(of_taps, stencil_element)
#undef SHEAF_RING_ELEMENT

#define SHEAF_PLAIN_ELEMENT(NAME, FUNCTION)                                                     \
  struct NAME {                                                                                 \
    template <element T>                                                                        \
    [[nodiscard]] SHEAF_HD static T of(const element_source& from, std::uint64_t at) noexcept { \
      return FUNCTION<T>(from, at);                                                             \
    }                                                                                           \
  };
SHEAF_PLAIN_ELEMENT(of_indices, gather_element)
SHEAF_PLAIN_ELEMENT(of_array_indices, gather_at_element)
SHEAF_PLAIN_ELEMENT(of_casts, cast_element)
SHEAF_PLAIN_ELEMENT(of_slices, slice_element)
#undef SHEAF_PLAIN_ELEMENT

/// Calls `visitor.template operator()<S>()` with the semiring `id` stands for, where it is defined
/// on `T`; false where it is not.
template <element T, class Visitor>
bool visit_ring(semiring_id id, Visitor&& visitor) {
  const auto with = [&]<class S>() {
    if constexpr (S::supports(dtype_of<T>)) {
      visitor.template operator()<S>();
      return true;
    } else {
      return false;
    }
  };
  switch (id) {
    case semiring_id::sum_product: return with.template operator()<sum_product>();
    case semiring_id::min_plus: return with.template operator()<min_plus>();
    case semiring_id::max_plus: return with.template operator()<max_plus>();
    case semiring_id::max_times: return with.template operator()<max_times>();
    case semiring_id::max_min: return with.template operator()<max_min>();
    case semiring_id::or_and: return with.template operator()<or_and>();
    case semiring_id::and_or: return with.template operator()<and_or>();
    case semiring_id::xor_and: return with.template operator()<xor_and>();
    case semiring_id::counting: return with.template operator()<counting>();
    case semiring_id::log_sum_exp: return with.template operator()<log_sum_exp>();
  }
  return false;
}

/// A kind whose body takes a semiring: `Body<S>` as a type of its own.
template <template <class> class Body, bool IsOneByOne>
struct ring_body {
  template <element T, class Visitor>
  static bool visit(semiring_id id, Visitor&& visitor) {
    return visit_ring<T>(id, [&]<class S>() {
      if constexpr (IsOneByOne) visitor.template operator()<one_by_one<Body<S>>, T>();
      else visitor.template operator()<Body<S>, T>();
    });
  }
};

/// Calls `visitor.template operator()<Body, T>()` with the body of batches of this kind; false
/// where there is none.
template <operator_kind Kind, class Visitor>
bool visit_body_of(semiring_id ring, dtype type, Visitor&& visitor) {
  return visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    if constexpr (Kind == operator_kind::combine) {
      return ring_body<combine_quads, false>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::fold_lines) {
      return ring_body<of_lines, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::fold_blocks) {
      return ring_body<of_blocks, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::segment_fold) {
      return ring_body<of_segments, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::spmv) {
      return ring_body<of_rows, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::gemv) {
      return ring_body<of_dense_rows, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::matmul) {
      return ring_body<of_products, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::stencil) {
      return ring_body<of_taps, true>::visit<T>(ring, visitor);
    } else if constexpr (Kind == operator_kind::program) {
      visitor.template operator()<program_quads, T>();
      return true;
    } else if constexpr (Kind == operator_kind::gather) {
      visitor.template operator()<one_by_one<of_indices>, T>();
      return true;
    } else if constexpr (Kind == operator_kind::gather_at) {
      visitor.template operator()<one_by_one<of_array_indices>, T>();
      return true;
    } else if constexpr (Kind == operator_kind::cast) {
      visitor.template operator()<one_by_one<of_casts>, T>();
      return true;
    } else if constexpr (Kind == operator_kind::slice) {
      visitor.template operator()<one_by_one<of_slices>, T>();
      return true;
    } else {
      return false;
    }
  });
}

/// The same for a kind that is known only at run time.
template <class Visitor>
bool visit_body(operator_kind kind, semiring_id ring, dtype type, Visitor&& visitor) {
  switch (kind) {
#define SHEAF_KIND(NAME) \
  case operator_kind::NAME: return visit_body_of<operator_kind::NAME>(ring, type, visitor);
    SHEAF_KIND(combine)
    SHEAF_KIND(program)
    SHEAF_KIND(fold_lines)
    SHEAF_KIND(fold_blocks)
    SHEAF_KIND(segment_fold)
    SHEAF_KIND(gather)
    SHEAF_KIND(spmv)
    SHEAF_KIND(gemv)
    SHEAF_KIND(matmul)
    SHEAF_KIND(stencil)
    SHEAF_KIND(cast)
    SHEAF_KIND(gather_at)
    SHEAF_KIND(slice)
#undef SHEAF_KIND
    default: return false;
  }
}

}  // namespace sheaf::inline v0
