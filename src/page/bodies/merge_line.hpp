/// \file
/// Merging elements and lines: the inner part of every apply body, one text for all instruction
/// sets. A line is `line_lanes` steps of one register. What differs between the sets is the
/// register's size, how bits become lanes and how a register is tested, all at the head. Everything
/// is always inlined, so that nothing is shared between sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/page/delta_operator.hpp>

#if SHEAF_ARCH_ID > 0
#include <immintrin.h>
#endif

namespace sheaf::inline v0::page_bodies::SHEAF_ARCH {

#if SHEAF_ARCH_ID == 2
inline constexpr std::size_t register_size = 64;
#elif SHEAF_ARCH_ID == 1
inline constexpr std::size_t register_size = 32;
#endif

/// What one step merges (`lanes`), and its bits.
template <element T>
struct step {
#if SHEAF_ARCH_ID == 0
  using lanes = T;
  using bit_lanes = bits_of<T>;
#else
  typedef T lanes __attribute__((vector_size(register_size)));
  typedef bits_of<T> bit_lanes __attribute__((vector_size(register_size)));
#endif
  // One lane in the scalar set, where both are T.
  // NOLINTNEXTLINE(bugprone-sizeof-expression)
  static constexpr std::uint32_t lane_count = sizeof(lanes) / sizeof(T);
};

/// Reads and writes at any address.
template <class V>
SHEAF_HD V load(const std::byte* from) noexcept {
  V value;
  __builtin_memcpy(&value, from, sizeof(V));
  return value;
}
template <class V>
SHEAF_HD void store(std::byte* to, V value) noexcept {
  __builtin_memcpy(to, &value, sizeof(V));
}

/// True where any bit is set.
template <class Bits>
SHEAF_HD bool any_bit(Bits bits) noexcept {
#if SHEAF_ARCH_ID == 2
  const auto word = __builtin_bit_cast(__m512i, bits);
  return _mm512_test_epi64_mask(word, word) != 0;
#elif SHEAF_ARCH_ID == 1
  const auto word = __builtin_bit_cast(__m256i, bits);
  return _mm256_testz_si256(word, word) == 0;
#else
  return bits != 0;
#endif
}

/// All bits of lane i are bit i of `word`; further bits of `word` are not looked at.
template <element T>
SHEAF_HD typename step<T>::bit_lanes spread(std::uint64_t word) noexcept {
  using bit_lanes = typename step<T>::bit_lanes;
#if SHEAF_ARCH_ID == 2
  if constexpr (sizeof(T) == 1) return __builtin_bit_cast(bit_lanes, _mm512_movm_epi8(word));
  if constexpr (sizeof(T) == 4) {
    return __builtin_bit_cast(bit_lanes, _mm512_movm_epi32(static_cast<__mmask16>(word)));
  }
  return __builtin_bit_cast(bit_lanes, _mm512_movm_epi64(static_cast<__mmask8>(word)));
#elif SHEAF_ARCH_ID == 1
  __m256i bits, own;
  if constexpr (sizeof(T) == 1) {
    // Byte i takes byte i / 8 of the word, and looks at its bit i % 8.
    const __m256i places =
        _mm256_setr_epi64x(0, 0x0101'0101'0101'0101, 0x0202'0202'0202'0202, 0x0303'0303'0303'0303);
    bits = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(word)), places);
    own = _mm256_set1_epi64x(static_cast<long long>(0x8040'2010'0804'0201u));
    return __builtin_bit_cast(bit_lanes, _mm256_cmpeq_epi8(_mm256_and_si256(bits, own), own));
  } else if constexpr (sizeof(T) == 4) {
    bits = _mm256_set1_epi32(static_cast<int>(word));
    own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return __builtin_bit_cast(bit_lanes, _mm256_cmpeq_epi32(_mm256_and_si256(bits, own), own));
  } else {
    bits = _mm256_set1_epi64x(static_cast<long long>(word));
    own = _mm256_setr_epi64x(1, 2, 4, 8);
    return __builtin_bit_cast(bit_lanes, _mm256_cmpeq_epi64(_mm256_and_si256(bits, own), own));
  }
#else
  return static_cast<bit_lanes>(0 - (word & 1));
#endif
}

/// Merges one element; true where a bit changed.
template <merge_operator Op, element T>
SHEAF_HD bool merge_at(std::byte* place, const std::byte* value) noexcept {
  const T old = load<T>(place);
  const T merged = merge_element<Op, T>(old, load<T>(value));
  store(place, merged);
  return __builtin_bit_cast(bits_of<T>, old) != __builtin_bit_cast(bits_of<T>, merged);
}

/// Merges fewer elements than a line has; true where a bit changed.
template <merge_operator Op, element T>
SHEAF_HD bool merge_part(std::byte* place, const std::byte* values, std::uint32_t count) noexcept {
  bool differs = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    differs |= merge_at<Op, T>(place + i * sizeof(T), values + i * sizeof(T));
  }
  return differs;
}

/// Merges a line, where `IsMasked` only the elements that `elements` names; true where a bit
/// changed.
template <merge_operator Op, element T, bool IsMasked>
SHEAF_HD bool merge_line(std::byte* line, const std::byte* values,
                         std::uint64_t elements) noexcept {
  using lanes = typename step<T>::lanes;
  using bit_lanes = typename step<T>::bit_lanes;
  bit_lanes difference{};
  for (std::size_t at = 0; at < line_size; at += sizeof(lanes)) {
    const lanes old = load<lanes>(line + at);
    const lanes merged = merge_lanes<Op, T, lanes, bit_lanes>(old, load<lanes>(values + at));
    const auto before = __builtin_bit_cast(bit_lanes, old);
    auto changed = static_cast<bit_lanes>(before ^ __builtin_bit_cast(bit_lanes, merged));
    if constexpr (IsMasked) {
      changed = static_cast<bit_lanes>(changed & spread<T>(elements));
      if constexpr (step<T>::lane_count < 64) elements >>= step<T>::lane_count;
      store(line + at, static_cast<bit_lanes>(before ^ changed));
    } else {
      store(line + at, merged);
    }
    difference = static_cast<bit_lanes>(difference | changed);
  }
  return any_bit(difference);
}

}  // namespace sheaf::inline v0::page_bodies::SHEAF_ARCH
