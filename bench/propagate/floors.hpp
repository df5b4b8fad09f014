/// \file
/// Hand-written loops beside which the kernel bodies are measured, for each instruction set, with
/// the same semantics: fold from the left, canonical NaN at the store, compare with the old line,
/// store only lines that differ, say which. Written with intrinsics and no abstraction, as somebody
/// who needs this one loop would.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include <sheaf/base/macros.hpp>

#define FLOOR_AVX512 SHEAF_NOINLINE [[gnu::target("avx512f,avx512dq,avx512bw,avx512vl")]]
#define FLOOR_AVX2 SHEAF_NOINLINE [[gnu::target("avx2,fma")]]

namespace floors {

/// out[i] = a[i] + b[i] + c[i] + d[i] over `lines` lines in place; the mask of lines that changed.
using sum4_loop = std::uint64_t (*)(float* out, const float* a, const float* b, const float* c,
                                    const float* d, unsigned lines);

FLOOR_AVX512 inline std::uint64_t sum4_avx512(float* out, const float* a, const float* b,
                                              const float* c, const float* d, unsigned lines) {
  const __m512 quiet = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000));
  std::uint64_t changed = 0;
  for (unsigned line = 0; line < lines; ++line) {
    const unsigned i = line * 16;
    __m512 sum = _mm512_add_ps(_mm512_load_ps(a + i), _mm512_load_ps(b + i));
    sum = _mm512_add_ps(sum, _mm512_load_ps(c + i));
    sum = _mm512_add_ps(sum, _mm512_load_ps(d + i));
    sum = _mm512_mask_mov_ps(sum, _mm512_cmp_ps_mask(sum, sum, _CMP_UNORD_Q), quiet);
    const __m512i bits = _mm512_castps_si512(sum);
    if (_mm512_cmpneq_epi32_mask(bits, _mm512_load_si512(out + i)) != 0) {
      _mm512_store_si512(out + i, bits);
      changed |= std::uint64_t{1} << line;
    }
  }
  return changed;
}

FLOOR_AVX2 inline std::uint64_t sum4_avx2(float* out, const float* a, const float* b,
                                          const float* c, const float* d, unsigned lines) {
  const __m256 quiet = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  std::uint64_t changed = 0;
  for (unsigned line = 0; line < lines; ++line) {
    __m256i half[2];
    __m256i same = _mm256_set1_epi32(-1);
    for (unsigned h = 0; h < 2; ++h) {
      const unsigned i = line * 16 + h * 8;
      __m256 sum = _mm256_add_ps(_mm256_load_ps(a + i), _mm256_load_ps(b + i));
      sum = _mm256_add_ps(sum, _mm256_load_ps(c + i));
      sum = _mm256_add_ps(sum, _mm256_load_ps(d + i));
      sum = _mm256_blendv_ps(sum, quiet, _mm256_cmp_ps(sum, sum, _CMP_UNORD_Q));
      half[h] = _mm256_castps_si256(sum);
      const __m256i old = _mm256_load_si256(reinterpret_cast<const __m256i*>(out + i));
      same = _mm256_and_si256(same, _mm256_cmpeq_epi32(half[h], old));
    }
    if (_mm256_movemask_epi8(same) != -1) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + line * 16), half[0]);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + line * 16 + 8), half[1]);
      changed |= std::uint64_t{1} << line;
    }
  }
  return changed;
}

/// out[i] = ((a[i] * b[i] + c[i]) * (d[i] - a[i]) + b[i]) * 0.5: six operations fused.
using fused_loop = std::uint64_t (*)(float* out, const float* a, const float* b, const float* c,
                                     const float* d, unsigned lines);

FLOOR_AVX512 inline std::uint64_t fused_avx512(float* out, const float* a, const float* b,
                                               const float* c, const float* d, unsigned lines) {
  const __m512 quiet = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000));
  const __m512 half = _mm512_set1_ps(0.5f);
  std::uint64_t changed = 0;
  for (unsigned line = 0; line < lines; ++line) {
    const unsigned i = line * 16;
    const __m512 av = _mm512_load_ps(a + i);
    const __m512 bv = _mm512_load_ps(b + i);
    __m512 value = _mm512_add_ps(_mm512_mul_ps(av, bv), _mm512_load_ps(c + i));
    value = _mm512_mul_ps(value, _mm512_sub_ps(_mm512_load_ps(d + i), av));
    value = _mm512_mul_ps(_mm512_add_ps(value, bv), half);
    value = _mm512_mask_mov_ps(value, _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q), quiet);
    const __m512i bits = _mm512_castps_si512(value);
    if (_mm512_cmpneq_epi32_mask(bits, _mm512_load_si512(out + i)) != 0) {
      _mm512_store_si512(out + i, bits);
      changed |= std::uint64_t{1} << line;
    }
  }
  return changed;
}

FLOOR_AVX2 inline std::uint64_t fused_avx2(float* out, const float* a, const float* b,
                                           const float* c, const float* d, unsigned lines) {
  const __m256 quiet = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  const __m256 half = _mm256_set1_ps(0.5f);
  std::uint64_t changed = 0;
  for (unsigned line = 0; line < lines; ++line) {
    __m256i part[2];
    __m256i same = _mm256_set1_epi32(-1);
    for (unsigned h = 0; h < 2; ++h) {
      const unsigned i = line * 16 + h * 8;
      const __m256 av = _mm256_load_ps(a + i);
      const __m256 bv = _mm256_load_ps(b + i);
      __m256 value = _mm256_add_ps(_mm256_mul_ps(av, bv), _mm256_load_ps(c + i));
      value = _mm256_mul_ps(value, _mm256_sub_ps(_mm256_load_ps(d + i), av));
      value = _mm256_mul_ps(_mm256_add_ps(value, bv), half);
      value = _mm256_blendv_ps(value, quiet, _mm256_cmp_ps(value, value, _CMP_UNORD_Q));
      part[h] = _mm256_castps_si256(value);
      const __m256i old = _mm256_load_si256(reinterpret_cast<const __m256i*>(out + i));
      same = _mm256_and_si256(same, _mm256_cmpeq_epi32(part[h], old));
    }
    if (_mm256_movemask_epi8(same) != -1) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + line * 16), part[0]);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + line * 16 + 8), part[1]);
      changed |= std::uint64_t{1} << line;
    }
  }
  return changed;
}

}  // namespace floors

#undef FLOOR_AVX512
#undef FLOOR_AVX2
