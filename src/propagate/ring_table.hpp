/// \file
/// A body per semiring and element type: the table a kernel file of its own offers, one per
/// instruction set.
///
/// Thread safety: constant tables.
#pragma once

#include <type_traits>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/isa.hpp>

namespace sheaf::inline v0 {

/// Null where the semiring is not defined on the type.
template <class Body>
struct ring_table {
  Body body[semiring_count][dtype_count];

  [[nodiscard]] constexpr Body of(semiring_id semiring, dtype type) const noexcept {
    return body[static_cast<unsigned>(semiring)][static_cast<unsigned>(type)];
  }
};

/// `make` returns the body for a semiring and a type, given as values of their types.
template <class Body, class Make>
[[nodiscard]] constexpr ring_table<Body> make_ring_table(Make&& make) noexcept {
  ring_table<Body> table{};
  for (unsigned s = 0; s < semiring_count; ++s) {
    visit_semiring(static_cast<semiring_id>(s), [&]<class S>(S ring) {
      const auto fill = [&]<element T>(std::type_identity<T> type) {
        if constexpr (S::supports(dtype_of<T>)) {
          table.body[s][static_cast<unsigned>(dtype_of<T>)] = make(ring, type);
        }
      };
      fill(std::type_identity<float>{});
      fill(std::type_identity<double>{});
      fill(std::type_identity<std::int32_t>{});
      fill(std::type_identity<std::int64_t>{});
      fill(std::type_identity<std::uint8_t>{});
      fill(std::type_identity<std::uint32_t>{});
      fill(std::type_identity<std::uint64_t>{});
    });
  }
  return table;
}

}  // namespace sheaf::inline v0

/// Where an instruction set was left out of the build, the scalar table stands in; nobody asks for
/// it, since `kernels_of` has none of that set either.
#if defined(SHEAF_HAS_AVX2)
#define SHEAF_TABLE_OF_avx2(NAME) avx2::NAME
#else
#define SHEAF_TABLE_OF_avx2(NAME) scalar::NAME
#endif
#if defined(SHEAF_HAS_AVX512)
#define SHEAF_TABLE_OF_avx512(NAME) avx512::NAME
#else
#define SHEAF_TABLE_OF_avx512(NAME) scalar::NAME
#endif

/// Declares the table NAME of each instruction set, and `NAME_of(set)`, which finds one.
#define SHEAF_RING_TABLES(NAME, BODY)                                             \
  namespace scalar {                                                              \
  extern const ring_table<BODY> NAME;                                             \
  }                                                                               \
  namespace avx2 {                                                                \
  extern const ring_table<BODY> NAME;                                             \
  }                                                                               \
  namespace avx512 {                                                              \
  extern const ring_table<BODY> NAME;                                             \
  }                                                                               \
  namespace {                                                                     \
  const ring_table<BODY>& NAME##_of(isa set) noexcept {                           \
    if (set == isa::avx512) return SHEAF_TABLE_OF_avx512(NAME);                   \
    return set == isa::avx2 ? SHEAF_TABLE_OF_avx2(NAME) : scalar::NAME;           \
  }                                                                               \
  }
