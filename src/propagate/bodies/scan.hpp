/// \file
/// The running fold inside blocks of 64 elements: element after element, from a carry.
///
/// Cost: one `plus` an element. A block is one chain of them; whole blocks go four side by side, so
/// that chains overlap. The text has no vectors: it is compiled once, and its bits depend on the
/// order alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/algebra/scan_order.hpp>
#include <sheaf/algebra/semiring.hpp>

namespace sheaf::inline v0 {

/// One block, or its beginning.
struct scan_block {
  std::byte* out;
  const std::byte* in;
  const std::byte* carry;  ///< null where nothing comes before
  std::uint64_t heads;
  unsigned count;          ///< elements, at most 64
  bool exclusive;
  bool zero_at_heads;
};
using scan_block_body = void (*)(const scan_block&);
/// `blocks` whole blocks without heads, each from its carry; the carries are consecutive.
using scan_blocks_body = void (*)(std::byte* out, const std::byte* in, const std::byte* carries,
                                  unsigned blocks, bool exclusive);

template <class S, element T>
void scan_one_block(const scan_block& block) {
  T* const out = reinterpret_cast<T*>(block.out);
  const T* const in = reinterpret_cast<const T*>(block.in);
  const T zero = S::template zero<T>();
  T running = block.carry == nullptr ? zero : *reinterpret_cast<const T*>(block.carry);
  bool has_running = block.carry != nullptr;
  for (unsigned i = 0; i < block.count; ++i) {
    const bool is_head = (block.heads >> i & 1) != 0;
    const T before = is_head && block.zero_at_heads ? zero : running;
    running = is_head || !has_running ? in[i] : S::plus(running, in[i]);
    has_running = true;
    out[i] = block.exclusive ? before : running;
  }
}

template <class S, element T, unsigned Together, bool Exclusive>
void scan_together(T* out, const T* in, const T* carries) {
  T running[Together];
  for (unsigned b = 0; b < Together; ++b) running[b] = carries[b];
  for (unsigned i = 0; i < scan_block_items; ++i) {
    for (unsigned b = 0; b < Together; ++b) {
      const unsigned at = b * scan_block_items + i;
      const T value = in[at];
      if constexpr (Exclusive) out[at] = running[b];
      running[b] = S::plus(running[b], value);
      if constexpr (!Exclusive) out[at] = running[b];
    }
  }
}

template <class S, element T, bool Exclusive>
void scan_runs(T* out, const T* in, const T* carries, unsigned blocks) {
  constexpr unsigned together = 4;
  unsigned b = 0;
  for (; b + together <= blocks; b += together) {
    scan_together<S, T, together, Exclusive>(out + b * scan_block_items, in + b * scan_block_items,
                                             carries + b);
  }
  for (; b < blocks; ++b) {
    scan_together<S, T, 1, Exclusive>(out + b * scan_block_items, in + b * scan_block_items,
                                      carries + b);
  }
}

template <class S, element T>
void scan_many_blocks(std::byte* out, const std::byte* in, const std::byte* carries,
                      unsigned blocks, bool exclusive) {
  T* const to = reinterpret_cast<T*>(out);
  const T* const from = reinterpret_cast<const T*>(in);
  const T* const before = reinterpret_cast<const T*>(carries);
  if (exclusive) scan_runs<S, T, true>(to, from, before, blocks);
  else scan_runs<S, T, false>(to, from, before, blocks);
}

}  // namespace sheaf::inline v0
