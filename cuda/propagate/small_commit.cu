#include "cuda/propagate/small_commit.hpp"

#include <cstddef>

#include <cuda_pipeline_primitives.h>
#include <cuda/atomic>

#include "cuda/page/scatter_bodies.hpp"
#include "cuda/propagate/bodies.hpp"
#include "cuda/propagate/marked_part.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned block_threads = 512;
constexpr unsigned block_warps = block_threads / unit_lanes;
constexpr unsigned place_count = 1024;  ///< of the table of marks
constexpr unsigned marks_max = 768;     ///< on a list
/// Pages of a level beyond which the kernels of batches are faster: two turns of all warps.
constexpr unsigned level_pages_max = 2 * block_warps;
constexpr unsigned probes_max = 64;
constexpr std::uint32_t no_slot = 0xffff'ffffu;
constexpr std::uint32_t no_level = 0xffff'ffffu;

/// In shared memory.
struct block_state {
  slot_card cards[place_count];
  slot_card ahead[block_warps][card_children];  ///< of the readers of a warp's page, on their way
  uint2 masks[place_count];          ///< low and high half: shared memory has no atomic on 64 bits
  std::uint32_t slots[place_count];  ///< of a mark; no_slot: the place is free
  std::uint32_t is_listed[place_count];
  /// Places of a level's marks, for this level and the next; a third so that one can be emptied.
  std::uint16_t lists[3][marks_max];
  std::uint32_t counts[3];
  std::uint32_t far_count;      ///< marks of levels behind the next one, not listed yet
  std::uint32_t far_level;      ///< the least of them
  std::uint32_t foreign_level;  ///< the least one with a mark that is not for this kernel
  std::uint32_t must_stop;
  std::uint32_t claimed;  ///< sum of all claims of room: pages << line_bits | lines
  std::uint32_t refused;  ///< the least claim that found none
};
constexpr unsigned line_bits = 19;
constexpr std::uint32_t no_claim_of_room = 0xffff'ffffu;
/// Records beyond which the next level is not begun, so that `claimed` holds what one more may add.
constexpr std::uint32_t pages_sent_max = 1024;
static_assert((pages_sent_max + marks_max * unit_lines) >> (32 - line_bits) == 0);
static_assert((pages_sent_max + marks_max * unit_lines) * unit_lines >> line_bits == 0);

__device__ __forceinline__ line_mask mask_of(const uint2& halves) {
  return std::uint64_t{halves.y} << 32 | halves.x;
}

__device__ __forceinline__ void copy_card(slot_card& to, const slot_card& from) {
  uint4* const at = reinterpret_cast<uint4*>(&to);
  const uint4* const source = reinterpret_cast<const uint4*>(&from);
#pragma unroll
  for (unsigned i = 0; i < sizeof(slot_card) / sizeof(uint4); ++i) at[i] = source[i];
}

__device__ __forceinline__ std::byte* page_of(const small_commit& all, const slot_card& card,
                                              std::uint32_t frame) {
  return all.view.state.pages.at(frame, card.size);
}

/// Marks for the kernels of batches; the block stops before the next level.
__device__ __noinline__ void mark_outside(const small_commit& all, block_state& block,
                                          std::uint32_t batch, std::uint32_t slot, line_mask mask) {
  mark(all.view.state, batch, all.view.plan.batches[batch].begin, slot, mask);
  block.must_stop = 1;
}

/// Puts place `at` on the list of level `next`, or says that it waits.
__device__ __forceinline__ void list_mark(block_state& block, unsigned at, std::uint32_t level,
                                          std::uint32_t next) {
  if (level == next) {
    const unsigned list = next % 3;
    const std::uint32_t index = atomicAdd(&block.counts[list], 1);
    if (index >= marks_max) {
      block.must_stop = 1;  // not listed: handed on
      return;
    }
    block.lists[list][index] = static_cast<std::uint16_t>(at);
    block.is_listed[at] = 1;
    return;
  }
  atomicAdd(&block.far_count, 1);
  atomicMin(&block.far_level, level);
}

/// Marks lines of `slot`, whose card is `card`. `next`: the level behind the one that runs.
__device__ __forceinline__ void mark_here(const small_commit& all, block_state& block,
                                          std::uint32_t slot, line_mask mask, const slot_card& card,
                                          std::uint32_t next) {
  unsigned at = slot * 0x9E37'79B1u >> 22;
  for (unsigned probe = 0; probe < probes_max; ++probe, at = (at + 1) % place_count) {
    const std::uint32_t found = atomicCAS(&block.slots[at], no_slot, slot);
    if (found != no_slot && found != slot) continue;
    const auto low = static_cast<std::uint32_t>(mask),
               high = static_cast<std::uint32_t>(mask >> 32);
    if (low != 0) atomicOr(&block.masks[at].x, low);
    if (high != 0) atomicOr(&block.masks[at].y, high);
    if (found == slot) return;
    copy_card(block.cards[at], card);
    const std::uint32_t level = card.level;
    if (card.body == card_body::elsewhere) atomicMin(&block.foreign_level, level);
    list_mark(block, at, level, next);
    return;
  }
  mark_outside(all, block, card.batch, slot, mask);
}

/// Sends for the cards of a page's readers, a lane each.
__device__ __forceinline__ void look_ahead(const small_commit& all, block_state& block,
                                           const slot_card& card, unsigned lane) {
  if (card.child_count == many_children || lane >= card.child_count) return;
  slot_card& to = block.ahead[threadIdx.x / unit_lanes][lane];
  const slot_card* const from = all.cards + card.children[lane];
#pragma unroll
  for (unsigned i = 0; i < sizeof(slot_card); i += sizeof(uint4)) {
    __pipeline_memcpy_async(reinterpret_cast<char*>(&to) + i,
                            reinterpret_cast<const char*>(from) + i, sizeof(uint4));
  }
  __pipeline_commit();
}

/// Has line `line` of a reader's page and of its operands brought nearer.
__device__ __forceinline__ void fetch_line(const small_commit& all, const slot_card& card,
                                           unsigned line) {
  const auto fetch = [&](std::uint32_t frame) {
    const std::byte* const at = page_of(all, card, frame) + line * line_size;
    asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(at)));
  };
  if (card.body != card_body::direct) return;
  fetch(card.frame);
  for (unsigned k = 0; k < card.operand_count; ++k) fetch(card.operands[k]);
}

/// Marks what the changed lines of a page reach. All lanes, after `look_ahead`.
__device__ __forceinline__ void push_here(const small_commit& all, block_state& block,
                                          std::uint32_t slot, const slot_card& card,
                                          line_mask changed, std::uint32_t next, unsigned lane) {
  if (card.child_count != many_children) {
    if (lane >= card.child_count) return;
    __pipeline_wait_prior(0);
    const slot_card& reader = block.ahead[threadIdx.x / unit_lanes][lane];
    fetch_line(all, reader, number_of(changed & (~changed + 1)));
    mark_here(all, block, card.children[lane], changed, reader, next);
    return;
  }
  const device_plan& plan = all.view.plan;
  const std::uint32_t producer = plan.slots[slot].producer;
  const std::uint32_t last = plan.child_begin[producer + 1];
  for (std::uint32_t i = plan.child_begin[producer] + lane; i < last; i += unit_lanes) {
    const device_child child = plan.children[i];
    if (child.is_uniform != 0) {
      const std::uint32_t reader = child.slot + card.page;
      mark_here(all, block, reader, changed, all.cards[reader], next);
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

/// Sixteen bytes of a page, settled: those of `quad_of_page`, of a card that is `direct`.
template <element T>
__device__ __forceinline__ quad direct_as(const slot_card& card, const quad* values,
                                          unsigned quad_of_page) {
  quad made{};
  visit_ring_here<T>(card.semiring,
                     [&]<class S>() { made = fold_direct<S, T>(values, card.operand_count); });
  return settled<T>(as_elements<T>(made), quad_of_page * elements_of<T>::count, card.elements);
}
/// The same of any other card.
template <element T>
__device__ __noinline__ quad other_as(const small_commit& all, const slot_card& card,
                                      unsigned quad_of_page) {
  const device_plan& plan = all.view.plan;
  const plan_node& node = plan.nodes[card.node];
  const element_source from{plan, all.view.state, node, plan.operations[node.operation]};
  const std::uint32_t own = quad_of_page * elements_of<T>::count;
  const std::uint64_t first =
      (std::uint64_t{card.page} << (line_shift + static_cast<unsigned>(card.size))) / sizeof(T) +
      own;
  elements_of<T> made;
  if (card.body == card_body::program) {
    made = program_quads::make<T>(from, first);
  } else {
    visit_ring_here<T>(card.semiring,
                       [&]<class S>() { made = combine_quads<S>::template make<T>(from, first); });
  }
  return settled<T>(made, own, card.elements);
}
__device__ __forceinline__ quad compute(const small_commit& all, const slot_card& card,
                                        const quad* values, unsigned quad_of_page) {
  const bool is_direct = card.body == card_body::direct;
  switch (card.type) {
#define SHEAF_TYPE(NAME, TYPE)                                     \
  case dtype::NAME:                                                \
    return is_direct ? direct_as<TYPE>(card, values, quad_of_page) \
                     : other_as<TYPE>(all, card, quad_of_page)
    SHEAF_TYPE(f32, float);
    SHEAF_TYPE(f64, double);
    SHEAF_TYPE(i32, std::int32_t);
    SHEAF_TYPE(i64, std::int64_t);
    SHEAF_TYPE(u8, std::uint8_t);
    SHEAF_TYPE(u32, std::uint32_t);
    SHEAF_TYPE(u64, std::uint64_t);
#undef SHEAF_TYPE
  }
  return {};
}

/// Sends changed lines of `slot` to the host, or leaves them to the collector.
__device__ __forceinline__ void send(const small_commit& all, block_state& block,
                                     std::uint32_t slot, const slot_card& card, line_mask changed,
                                     line_mask own_line, const quad& value, unsigned lane) {
  std::uint32_t at = 0;
  const unsigned lines = card.is_observed != 0 ? set_bits(changed) : 0;
  if (lane == 0) at = atomicAdd(&block.claimed, 1u << line_bits | lines);
  at = __shfl_sync(~0u, at, 0);
  const std::uint32_t page = at >> line_bits;
  const std::uint32_t line = at & ((1u << line_bits) - 1);
  if (page >= all.space.page_capacity || line + lines > all.space.line_capacity) {
    if (lane == 0) {
      or_into(&all.view.state.changed[slot], changed);
      atomicMin(&block.refused, at);
    }
    return;
  }
  if (lane == 0) all.space.pages[page] = {slot, 0, changed};
  if (lines == 0 || (changed & own_line) == 0) return;
  const unsigned rank = set_bits(changed & (own_line - 1));
  quad* const to = reinterpret_cast<quad*>(all.space.lines + std::size_t{line + rank} * line_size);
  to[lane % line_lanes_of_unit] = value;
}

/// Number `rank` of the lines in `asked`, which has as many: mostly one of the first.
__device__ __forceinline__ unsigned find_line(line_mask asked, unsigned rank) {
  if (rank >= unit_lines) return line_of_rank(asked, rank);
  for (; rank != 0; --rank) asked &= asked - 1;
  return number_of(asked & (~asked + 1));
}

/// A warp takes eight lines of a marked page, four lanes each.
__device__ __forceinline__ void run_eight(const small_commit& all, block_state& block,
                                          unsigned place, unsigned line, bool is_any,
                                          std::uint32_t level, unsigned lane) {
  const slot_card& card = block.cards[place];
  look_ahead(all, block, card, lane);
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
  if (lanes == 0) {
    __pipeline_wait_prior(0);  // its room is used again
    return;
  }
  const bool is_changed = (lanes >> (lane / line_lanes_of_unit * line_lanes_of_unit) & 15u) != 0;
  const line_mask own_line = is_any ? line_mask{1} << line : 0;
  const line_mask mine = is_changed ? own_line : 0;
  const line_mask changed = std::uint64_t{__reduce_or_sync(~0u, static_cast<unsigned>(mine >> 32))}
                                << 32 |
                            __reduce_or_sync(~0u, static_cast<unsigned>(mine));
  push_here(all, block, block.slots[place], card, changed, level + 1, lane);
  send(all, block, block.slots[place], card, changed, own_line, kept, lane);
}

/// A warp takes eights number `part`, `part + step`, ... of the lines of a marked page.
__device__ __forceinline__ void run_place(const small_commit& all, block_state& block,
                                          unsigned place, unsigned part, unsigned step,
                                          std::uint32_t level, unsigned lane) {
  const line_mask asked = mask_of(block.masks[place]);
  const unsigned count = set_bits(asked);
  for (unsigned first = part * unit_lines; first < count; first += step * unit_lines) {
    const unsigned rank = first + lane / line_lanes_of_unit;
    const bool is_any = rank < count;
    run_eight(all, block, place, is_any ? find_line(asked, rank) : 0, is_any, level, lane);
  }
}

/// A warp writes a page of the record.
__device__ void write_page(const small_commit& all, block_state& block, unsigned index,
                           unsigned lane) {
  const line_record& record = all.pages[index];
  const slot_card card = all.cards[record.slot];
  look_ahead(all, block, card, lane);
  const unsigned count = set_bits(record.lines);
  quad* const page = reinterpret_cast<quad*>(page_of(all, card, card.frame));
  const quad* const from = reinterpret_cast<const quad*>(all.lines);
  for (unsigned rank = lane / line_lanes_of_unit; rank < count; rank += unit_lines) {
    const unsigned line = line_of_rank(record.lines, rank);
    const unsigned q = lane % line_lanes_of_unit;
    page[line * line_lanes_of_unit + q] = from[(record.reserved + rank) * line_lanes_of_unit + q];
  }
  push_here(all, block, record.slot, card, record.lines, 1, lane);
}

__device__ __forceinline__ void clear_block(block_state& block) {
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    block.slots[i] = no_slot;
    block.masks[i] = {0, 0};
    block.is_listed[i] = 0;
  }
  if (threadIdx.x != 0) return;
  for (std::uint32_t& count : block.counts) count = 0;
  block.far_count = 0;
  block.far_level = no_level;
  block.foreign_level = no_level;
  block.must_stop = 0;
  block.claimed = 0;
  block.refused = no_claim_of_room;
}

/// Lists the marks of `level` that waited. All threads; the lists that are not in use are empty.
__device__ __noinline__ void list_far(block_state& block, std::uint32_t level, bool is_jump) {
  __syncthreads();
  if (threadIdx.x == 0) {
    block.far_level = no_level;
    for (std::uint32_t& count : block.counts) count = is_jump ? 0 : count;
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    if (block.slots[i] == no_slot || block.is_listed[i] != 0) continue;
    const std::uint32_t own = block.cards[i].level;
    if (own == level) atomicSub(&block.far_count, 1);
    list_mark(block, i, own, level);
    if (own != level) atomicSub(&block.far_count, 1);  // was counted already
  }
  __syncthreads();
}

/// Hands marks of `level` and later ones to the kernels of batches.
__device__ __noinline__ void hand_on(const small_commit& all, block_state& block,
                                     std::uint32_t level) {
  for (unsigned i = threadIdx.x; i < place_count; i += block_threads) {
    if (block.slots[i] == no_slot || block.cards[i].level < level) continue;
    mark_outside(all, block, block.cards[i].batch, block.slots[i], mask_of(block.masks[i]));
  }
}

/// All levels behind the sources; false where some are left, which are handed on.
__device__ __forceinline__ bool run_levels(const small_commit& all, block_state& block,
                                           unsigned warp, unsigned lane) {
  for (std::uint32_t level = 1;; ++level) {
    __syncthreads();
    std::uint32_t count = block.counts[level % 3];
    const std::uint32_t waiting = block.far_count, waiting_level = block.far_level;
    const std::uint32_t foreign_level = block.foreign_level;
    const bool is_enough = block.must_stop != 0 || block.claimed >> line_bits > pages_sent_max;
    __syncthreads();  // what was read is written from here on
    if (count == 0 && waiting == 0) return true;
    if (!is_enough && waiting != 0 && (count == 0 || waiting_level == level)) {
      const bool is_jump = count == 0;
      if (is_jump) level = waiting_level;
      list_far(block, level, is_jump);
      count = block.counts[level % 3];
    }
    if (is_enough || foreign_level == level || count > level_pages_max) {
      __syncthreads();
      hand_on(all, block, level);
      return false;
    }
    if (threadIdx.x == 0) block.counts[(level + 2) % 3] = 0;
    const std::uint16_t* const list = block.lists[level % 3];
    unsigned shift = 0;
    while (shift < 3 && count << (shift + 1) <= block_warps) ++shift;
    for (std::uint32_t i = warp; i < count << shift; i += block_warps) {
      run_place(all, block, list[i >> shift], i & ((1u << shift) - 1), 1u << shift, level, lane);
    }
  }
}

__global__ void __launch_bounds__(block_threads, 1)
    run_small_commit(const __grid_constant__ small_commit all) {
  extern __shared__ uint4 room[];
  block_state& block = *reinterpret_cast<block_state*>(room);
  const unsigned lane = threadIdx.x % unit_lanes;
  const unsigned warp = threadIdx.x / unit_lanes;
  clear_block(block);
  __syncthreads();
  for (unsigned i = warp; i < all.page_count; i += block_warps) write_page(all, block, i, lane);
  const bool is_done = run_levels(all, block, warp, lane);
  __syncthreads();
  if (threadIdx.x != 0) return;
  const bool is_sent = block.refused == no_claim_of_room;
  const std::uint32_t granted = is_sent ? block.claimed : block.refused;
  all.outcome->pages = granted >> line_bits;
  all.outcome->lines = granted & ((1u << line_bits) - 1);
  all.outcome->is_finished = is_done && is_sent && block.must_stop == 0;
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
