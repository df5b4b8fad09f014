#include "cuda/propagate/column.hpp"

#include "cuda/propagate/bodies.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned column_quads = column_bytes / quad_size;

/// The fold of a node's operands, all of which lie in shared memory. `FanIn` 0: any.
template <class S, class T, unsigned FanIn>
__device__ __forceinline__ quad fold_column(const quad* below, const std::uint32_t* operands,
                                            std::uint32_t fan_in, std::uint32_t first_slot,
                                            unsigned half) {
  constexpr unsigned count = elements_of<T>::count;
  elements_of<T> sum;
  std::uint32_t slots[FanIn == 0 ? 1 : FanIn];
  if constexpr (FanIn == 4) {
    const uint4 four = __ldg(reinterpret_cast<const uint4*>(operands));
    slots[0] = four.x, slots[1] = four.y, slots[2] = four.z, slots[3] = four.w;
  }
  const std::uint32_t terms = FanIn == 0 ? fan_in : FanIn;
#pragma unroll
  for (std::uint32_t k = 0; k < terms; ++k) {
    const std::uint32_t slot = FanIn == 4 ? slots[FanIn == 4 ? k : 0] : __ldg(operands + k);
    const auto value = as_elements<T>(below[(slot - first_slot) * column_quads + half]);
    if (k == 0) {
      sum = value;
    } else {
      for (unsigned i = 0; i < count; ++i) sum.at[i] = S::plus(sum.at[i], value.at[i]);
    }
  }
  return as_quad(sum);
}

template <class S, class T, unsigned FanIn>
__device__ void run_level_of_columns(const run_view& view, const column_levels& all,
                                     const column_level& level, std::uint32_t below_slot,
                                     const quad* below, quad* own, std::uint32_t byte,
                                     std::uint64_t first_element) {
  for (std::uint32_t i = threadIdx.x; i < level.count * column_quads; i += column_threads) {
    const std::uint32_t node = i / column_quads;
    const unsigned half = i % column_quads;
    const std::uint32_t* operands = view.plan.operands + level.operands + node * level.fan_in;
    const quad made = fold_column<S, T, FanIn>(below, operands, level.fan_in, below_slot, half);
    const quad kept = settled<T>(as_elements<T>(made), first_element + half * elements_of<T>::count,
                                 level.length);
    own[i] = kept;
    std::byte* const page = view.state.pages.page(level.slot + node, all.page);
    *(reinterpret_cast<quad*>(page + byte) + half) = kept;
  }
  if (blockIdx.x == 0) {
    const std::uint64_t lines = (level.length * sizeof(T) + line_size - 1) / line_size;
    for (std::uint32_t i = threadIdx.x; i < level.count; i += column_threads) {
      view.state.changed[level.slot + i] = first_lines(static_cast<unsigned>(lines));
    }
  }
  __syncthreads();
}

template <class S, class T>
__global__ void __launch_bounds__(column_threads)
    run_columns(const run_view view, const column_levels all) {
  extern __shared__ quad shared[];
  std::uint32_t most = all.source.count;
  for (std::uint32_t l = 0; l < all.level_count; ++l) most = max(most, all.levels[l].count);
  quad* below = shared;
  quad* own = shared + most * column_quads;
  const std::uint32_t byte = blockIdx.x * column_bytes;
  const std::uint64_t first_element = byte / sizeof(T);
  for (std::uint32_t i = threadIdx.x; i < all.source.count * column_quads; i += column_threads) {
    const std::byte* const page = view.state.pages.page(i / column_quads, all.page);
    below[i] = *(reinterpret_cast<const quad*>(page + byte) + i % column_quads);
  }
  __syncthreads();
  std::uint32_t below_slot = all.source.slot;
  for (std::uint32_t l = 0; l < all.level_count; ++l) {
    const column_level& level = all.levels[l];
    if (level.fan_in == 4) {
      run_level_of_columns<S, T, 4>(view, all, level, below_slot, below, own, byte, first_element);
    } else {
      run_level_of_columns<S, T, 0>(view, all, level, below_slot, below, own, byte, first_element);
    }
    below_slot = level.slot;
    quad* const swapped = below;
    below = own;
    own = swapped;
  }
}

}  // namespace

column_kernel column_kernel_of(semiring_id ring, dtype type) {
  column_kernel found = nullptr;
  visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    visit_ring<T>(ring, [&]<class S>() { found = &run_columns<S, T>; });
  });
  return found;
}

}  // namespace sheaf::inline v0
