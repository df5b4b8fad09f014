#include "cuda/propagate/small_commit.hpp"

#include <cuda/atomic>

#include "cuda/page/scatter_bodies.hpp"
#include "cuda/propagate/bodies.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned block_threads = 512;
constexpr unsigned block_warps = block_threads / unit_lanes;
constexpr unsigned place_count = 1024;  ///< of the table of marks
constexpr unsigned marks_max = 768;     ///< beyond it a frontier is no longer small
constexpr unsigned probes_max = 64;
constexpr unsigned work_max = 1024;  ///< eights of lines of one level
constexpr std::uint32_t no_slot = 0xffff'ffffu;
constexpr std::uint32_t no_level = 0xffff'ffffu;

/// In shared memory.
struct block_state {
  slot_card cards[place_count];
  unsigned long long masks[place_count];
  std::uint32_t slots[place_count];  ///< of a mark; no_slot: the place is free
  std::uint32_t is_done[place_count];
  std::uint32_t work[work_max];  ///< place | number of the eight << 16
  std::uint32_t work_count;
  std::uint32_t mark_count;
  std::uint32_t level;  ///< the least one that is marked
  std::uint32_t must_stop;
  std::uint32_t must_collect;  ///< something found no room in pinned memory
  std::uint32_t pages, lines;  ///< sent
  unsigned long long claimed;  ///< pages << 32 | lines
};

struct card_words {
  uint4 words[4];
};
__device__ __forceinline__ card_words read_card(const slot_card* at) {
  const uint4* const from = reinterpret_cast<const uint4*>(at);
  return {{__ldg(from), __ldg(from + 1), __ldg(from + 2), __ldg(from + 3)}};
}
__device__ __forceinline__ void put_card(slot_card& to, const card_words& card) {
  uint4* const at = reinterpret_cast<uint4*>(&to);
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) at[i] = card.words[i];
}

__device__ __forceinline__ std::byte* page_of(const small_commit& all, const slot_card& card,
                                              std::uint32_t frame) {
  const auto size = static_cast<unsigned>(card.size);
  return all.view.state.pages.base[size] + (std::size_t{frame} << (line_shift + size));
}

/// Marks for the kernels of batches; the block stops before the next level.
__device__ void mark_outside(const small_commit& all, block_state& block, std::uint32_t batch,
                             std::uint32_t slot, line_mask mask) {
  mark(all.view.state, batch, all.view.plan.batches[batch].begin, slot, mask);
  block.must_stop = 1;
}

/// Marks lines of `slot`, whose card is `card`.
__device__ void mark_here(const small_commit& all, block_state& block, std::uint32_t slot,
                          line_mask mask, const card_words& card) {
  unsigned at = slot * 0x9E37'79B1u >> 22;
  for (unsigned probe = 0; probe < probes_max; ++probe, at = (at + 1) % place_count) {
    const std::uint32_t found = atomicCAS(&block.slots[at], no_slot, slot);
    if (found != no_slot && found != slot) continue;
    atomicOr(&block.masks[at], static_cast<unsigned long long>(mask));
    if (found == slot) return;
    put_card(block.cards[at], card);
    if (atomicAdd(&block.mark_count, 1) >= marks_max) block.must_stop = 1;
    return;
  }
  slot_card copied;
  put_card(copied, card);
  mark_outside(all, block, copied.batch, slot, mask);
}

/// Marks what the changed lines of a page reach. All lanes; `ahead`: of lanes below the number of
/// children the card of that child.
__device__ void push_here(const small_commit& all, block_state& block, std::uint32_t slot,
                          const slot_card& card, line_mask changed, const card_words& ahead,
                          unsigned lane) {
  if (card.child_count != many_children) {
    if (lane < card.child_count) mark_here(all, block, card.children[lane], changed, ahead);
    return;
  }
  const device_plan& plan = all.view.plan;
  const std::uint32_t producer = plan.slots[slot].producer;
  const std::uint32_t last = plan.child_begin[producer + 1];
  for (std::uint32_t i = plan.child_begin[producer] + lane; i < last; i += unit_lanes) {
    const device_child child = plan.children[i];
    if (child.is_uniform != 0) {
      const std::uint32_t reader = child.slot + card.page;
      mark_here(all, block, reader, changed, read_card(all.cards + reader));
      continue;
    }
    push_to_child(plan, all.view.state, plan.slots[slot], child, changed);
    block.must_stop = 1;
  }
}

template <class S, element T>
__device__ __forceinline__ quad fold_direct(const quad* values, unsigned count) {
  elements_of<T> sum = as_elements<T>(values[0]);
#pragma unroll
  for (unsigned k = 1; k < card_operands; ++k) {
    if (k >= count) break;
    const elements_of<T> value = as_elements<T>(values[k]);
#pragma unroll
    for (unsigned i = 0; i < elements_of<T>::count; ++i) {
      sum.at[i] = S::plus(sum.at[i], value.at[i]);
    }
  }
  return as_quad(sum);
}

/// Calls `visitor.operator()<S>()` with the semiring of that number, where T has it.
template <element T, class Visitor>
__device__ __forceinline__ void visit_ring_here(semiring_id id, Visitor&& visitor) {
  const auto with = [&]<class S>() {
    if constexpr (S::supports(dtype_of<T>)) visitor.template operator()<S>();
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
}

/// Sixteen bytes of a page, settled: those of `quad_of_page`.
template <element T>
__device__ quad compute_as(const small_commit& all, const slot_card& card, const quad* values,
                           unsigned quad_of_page) {
  const std::uint32_t own = quad_of_page * elements_of<T>::count;
  elements_of<T> made;
  if (card.body == card_body::direct) {
    visit_ring_here<T>(card.semiring, [&]<class S>() {
      made = as_elements<T>(fold_direct<S, T>(values, card.operand_count));
    });
    return settled<T>(made, own, card.elements);
  }
  const device_plan& plan = all.view.plan;
  const plan_node& node = plan.nodes[card.node];
  const element_source from{plan, all.view.state, node, plan.operations[node.operation]};
  const std::uint64_t first =
      (std::uint64_t{card.page} << (line_shift + static_cast<unsigned>(card.size))) / sizeof(T) +
      own;
  if (card.body == card_body::program) {
    made = program_quads::make<T>(from, first);
  } else {
    visit_ring_here<T>(card.semiring,
                       [&]<class S>() { made = combine_quads<S>::template make<T>(from, first); });
  }
  return settled<T>(made, own, card.elements);
}
__device__ quad compute(const small_commit& all, const slot_card& card, const quad* values,
                        unsigned quad_of_page) {
  switch (card.type) {
    case dtype::f32: return compute_as<float>(all, card, values, quad_of_page);
    case dtype::f64: return compute_as<double>(all, card, values, quad_of_page);
    case dtype::i32: return compute_as<std::int32_t>(all, card, values, quad_of_page);
    case dtype::i64: return compute_as<std::int64_t>(all, card, values, quad_of_page);
    case dtype::u8: return compute_as<std::uint8_t>(all, card, values, quad_of_page);
    case dtype::u32: return compute_as<std::uint32_t>(all, card, values, quad_of_page);
    case dtype::u64: return compute_as<std::uint64_t>(all, card, values, quad_of_page);
  }
  return {};
}

/// Sends changed lines of `slot` to the host, or leaves them to the collector.
__device__ void send(const small_commit& all, block_state& block, std::uint32_t slot,
                     const slot_card& card, line_mask changed, line_mask own_line,
                     const quad& value, unsigned lane) {
  unsigned long long at = 0;
  const unsigned lines = card.is_observed != 0 ? set_bits(changed) : 0;
  if (lane == 0) at = atomicAdd(&block.claimed, 1ull << 32 | lines);
  at = __shfl_sync(~0u, at, 0);
  const auto page = static_cast<std::uint32_t>(at >> 32);
  const auto line = static_cast<std::uint32_t>(at);
  if (page >= all.space.page_capacity || line + lines > all.space.line_capacity) {
    if (lane == 0) {
      or_into(&all.view.state.changed[slot], changed);
      block.must_collect = 1;
    }
    return;
  }
  if (lane == 0) {
    all.space.pages[page] = {slot, 0, changed};
    atomicMax(&block.pages, page + 1);
    atomicMax(&block.lines, line + lines);
  }
  if (lines == 0 || (changed & own_line) == 0) return;
  const unsigned rank = set_bits(changed & (own_line - 1));
  quad* const to = reinterpret_cast<quad*>(all.space.lines + std::size_t{line + rank} * line_size);
  to[lane % line_lanes_of_unit] = value;
}

/// A warp takes eight lines of a marked page.
__device__ void run_eight(const small_commit& all, block_state& block, std::uint32_t work,
                          unsigned lane) {
  const unsigned place = work & 0xffffu;
  const slot_card& card = block.cards[place];
  const line_mask asked = block.masks[place];
  const unsigned rank = (work >> 16) * unit_lines + lane / line_lanes_of_unit;
  const bool is_any = rank < set_bits(asked);
  card_words ahead{};
  if (card.child_count != many_children && lane < card.child_count) {
    ahead = read_card(all.cards + card.children[lane]);
  }
  const unsigned line = is_any ? line_of_rank(asked, rank) : 0;
  const unsigned quad_of_page = line * line_lanes_of_unit + lane % line_lanes_of_unit;
  bool differs = false;
  quad kept{};
  if (is_any) {
    quad* const to = reinterpret_cast<quad*>(page_of(all, card, card.frame)) + quad_of_page;
    const quad old = *to;
    quad values[card_operands];
    if (card.body == card_body::direct) {
#pragma unroll
      for (unsigned k = 0; k < card_operands; ++k) {
        if (k < card.operand_count) {
          values[k] =
              reinterpret_cast<const quad*>(page_of(all, card, card.operands[k]))[quad_of_page];
        }
      }
    }
    kept = compute(all, card, values, quad_of_page);
    differs = kept.words[0] != old.words[0] || kept.words[1] != old.words[1];
    if (differs) *to = kept;
  }
  const std::uint32_t lanes = __ballot_sync(~0u, differs);
  if (lanes == 0) return;
  const bool is_changed = (lanes >> (lane / line_lanes_of_unit * line_lanes_of_unit) & 15u) != 0;
  const line_mask own_line = is_any ? line_mask{1} << line : 0;
  const line_mask mine = is_changed ? own_line : 0;
  const line_mask changed = std::uint64_t{__reduce_or_sync(~0u, static_cast<unsigned>(mine >> 32))}
                                << 32 |
                            __reduce_or_sync(~0u, static_cast<unsigned>(mine));
  push_here(all, block, block.slots[place], card, changed, ahead, lane);
  send(all, block, block.slots[place], card, changed, own_line, kept, lane);
}

/// A warp writes a page of the record.
__device__ void write_page(const small_commit& all, block_state& block, unsigned index,
                           unsigned lane) {
  const line_record& record = all.pages[index];
  slot_card card;
  put_card(card, read_card(all.cards + record.slot));
  card_words ahead{};
  if (card.child_count != many_children && lane < card.child_count) {
    ahead = read_card(all.cards + card.children[lane]);
  }
  const unsigned count = set_bits(record.lines);
  quad* const page = reinterpret_cast<quad*>(page_of(all, card, card.frame));
  const quad* const from = reinterpret_cast<const quad*>(all.lines);
  for (unsigned rank = lane / line_lanes_of_unit; rank < count; rank += unit_lines) {
    const unsigned line = line_of_rank(record.lines, rank);
    const unsigned q = lane % line_lanes_of_unit;
    page[line * line_lanes_of_unit + q] = from[(record.reserved + rank) * line_lanes_of_unit + q];
  }
  push_here(all, block, record.slot, card, record.lines, ahead, lane);
}

__device__ void clear_block(block_state& block) {
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    block.slots[i] = no_slot;
    block.masks[i] = 0;
    block.is_done[i] = 0;
  }
  if (threadIdx.x != 0) return;
  block.work_count = 0;
  block.mark_count = 0;
  block.level = no_level;
  block.must_stop = 0;
  block.must_collect = 0;
  block.pages = 0;
  block.lines = 0;
  block.claimed = 0;
}

/// The least marked level, to all threads.
__device__ std::uint32_t find_level(block_state& block) {
  std::uint32_t least = no_level;
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    if (block.slots[i] != no_slot && block.is_done[i] == 0) {
      least = min(least, std::uint32_t{block.cards[i].level});
    }
  }
  least = __reduce_min_sync(~0u, least);
  if (threadIdx.x % unit_lanes == 0 && least != no_level) atomicMin(&block.level, least);
  __syncthreads();
  return block.level;
}

/// Lists the work of `level`; false where a page of it is not for this kernel, or all are too many.
__device__ bool list_work(block_state& block, std::uint32_t level) {
  bool fits = true;
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    if (block.slots[i] == no_slot || block.is_done[i] != 0 || block.cards[i].level != level) {
      continue;
    }
    block.is_done[i] = 1;
    if (block.cards[i].body == card_body::elsewhere) fits = false;
    const unsigned eights = (set_bits(block.masks[i]) + unit_lines - 1) / unit_lines;
    const unsigned at = atomicAdd(&block.work_count, eights);
    for (unsigned k = 0; k < eights && at + k < work_max; ++k) block.work[at + k] = i | k << 16;
  }
  if (__syncthreads_and(fits) != 0 && block.work_count <= work_max) return true;
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    if (block.slots[i] != no_slot && block.cards[i].level == level) block.is_done[i] = 0;
  }
  return false;
}

/// Hands what is marked to the kernels of batches.
__device__ void hand_on(const small_commit& all, block_state& block) {
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    if (block.slots[i] == no_slot || block.is_done[i] != 0) continue;
    mark_outside(all, block, block.cards[i].batch, block.slots[i], block.masks[i]);
  }
}

__global__ void __launch_bounds__(block_threads)
    run_small_commit(const __grid_constant__ small_commit all) {
  extern __shared__ uint4 room[];
  block_state& block = *reinterpret_cast<block_state*>(room);
  const unsigned lane = threadIdx.x % unit_lanes;
  const unsigned warp = threadIdx.x / unit_lanes;
  clear_block(block);
  __syncthreads();
  for (unsigned i = warp; i < all.page_count; i += block_warps) write_page(all, block, i, lane);
  __syncthreads();
  bool is_left = false;
  for (;;) {
    const std::uint32_t level = find_level(block);
    if (level == no_level) break;
    if (block.must_stop != 0 || !list_work(block, level)) {
      is_left = true;
      break;
    }
    const std::uint32_t count = block.work_count;
    for (std::uint32_t i = warp; i < count; i += block_warps) {
      run_eight(all, block, block.work[i], lane);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      block.work_count = 0;
      block.level = no_level;
    }
    __syncthreads();
  }
  if (is_left) hand_on(all, block);
  __syncthreads();
  if (threadIdx.x != 0) return;
  all.outcome->pages = block.pages;
  all.outcome->lines = block.lines;
  all.outcome->is_finished = block.must_stop == 0 && block.must_collect == 0;
  // Release, cumulative over the barrier: what all threads wrote is there when the host sees it.
  __threadfence_system();
  cuda::atomic_ref<std::uint64_t, cuda::thread_scope_system>(all.outcome->number)
      .store(all.number, cuda::memory_order_release);
}

}  // namespace

cudaError_t prepare_small_commit() noexcept {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(&run_small_commit),
                              cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(sizeof(block_state)));
}

cudaError_t launch_small_commit(const small_commit& what, cudaStream_t stream) noexcept {
  run_small_commit<<<1, block_threads, sizeof(block_state), stream>>>(what);
  return cudaGetLastError();
}

}  // namespace sheaf::inline v0
