/// \file
/// Deltas of single elements: the check of indices, the sort, the merge.
#include "cuda/page/element_scatter.hpp"

#include "cuda/page/element_sort.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned block_threads = 256;

unsigned blocks_for(std::uint64_t count) {
  return static_cast<unsigned>((count + block_threads - 1) / block_threads);
}

// Finds indices that are out of range; numbers the deltas where `order` is not null.
template <class Index>
__global__ void __launch_bounds__(block_threads)
    check_indices(const Index* indices, std::uint64_t count, std::uint64_t length,
                  std::uint32_t* order, std::uint64_t* bad_index) {
  const std::uint64_t k = blockIdx.x * std::uint64_t{block_threads} + threadIdx.x;
  if (k >= count) return;
  const std::uint64_t index = indices[k];
  if (index >= length) {
    atomicMin(reinterpret_cast<unsigned long long*>(bad_index),
              static_cast<unsigned long long>(index));
  }
  if (order != nullptr) order[k] = static_cast<std::uint32_t>(k);
}

template <element T, class Index>
__global__ void __launch_bounds__(block_threads)
    merge_sorted(const __grid_constant__ element_target target, merge_operator op,
                 const Index* sorted, const std::uint32_t* order, std::uint64_t count,
                 const void* values, const std::uint64_t* bad_index) {
  const std::uint64_t k = blockIdx.x * std::uint64_t{block_threads} + threadIdx.x;
  if (k >= count || *bad_index != no_claim) return;
  merge_run_at<T, Index>(target, op, sorted, order, count, k, values);
}

template <element T, class Index>
__global__ void __launch_bounds__(block_threads)
    merge_distinct(const __grid_constant__ element_target target, merge_operator op,
                   const Index* indices, std::uint64_t count, const void* values,
                   const std::uint64_t* bad_index) {
  const std::uint64_t k = blockIdx.x * std::uint64_t{block_threads} + threadIdx.x;
  if (k >= count || *bad_index != no_claim) return;
  merge_run<T>(target, op, indices[k], static_cast<const bits_of<T>*>(values) + k, nullptr, 1);
}

unsigned bits_below(std::uint64_t length) {
  unsigned bits = 1;
  while (bits < 64 && length > std::uint64_t{1} << bits) ++bits;
  return bits;
}

template <class Index>
cudaError_t scatter_by(const device_array& array, const element_deltas& deltas,
                       const device_scatter& into, std::byte* scratch, std::size_t scratch_bytes,
                       std::uint64_t* bad_index, cudaStream_t stream) {
  const auto* indices = static_cast<const Index*>(deltas.indices);
  const element_target target = target_of(array, into);
  const unsigned blocks = blocks_for(deltas.count);
  if (deltas.is_distinct) {
    check_indices<Index><<<blocks, block_threads, 0, stream>>>(indices, deltas.count, array.length,
                                                               nullptr, bad_index);
    visit_dtype(array.type, [&](auto type) {
      using T = typename decltype(type)::type;
      merge_distinct<T, Index><<<blocks, block_threads, 0, stream>>>(
          target, deltas.op, indices, deltas.count, deltas.values, bad_index);
    });
    return cudaGetLastError();
  }
  const sort_scratch at = sort_scratch_of(deltas.count, sizeof(Index));
  if (at.total > scratch_bytes) return cudaErrorInvalidValue;
  auto* sorted = reinterpret_cast<Index*>(scratch + at.sorted);
  auto* order_in = reinterpret_cast<std::uint32_t*>(scratch + at.order_in);
  auto* order = reinterpret_cast<std::uint32_t*>(scratch + at.order);
  check_indices<Index><<<blocks, block_threads, 0, stream>>>(indices, deltas.count, array.length,
                                                             order_in, bad_index);
  const cudaError_t error =
      sort_indices(indices, deltas.count, sizeof(Index), bits_below(array.length), at, scratch,
                   stream);
  if (error != cudaSuccess) return error;
  visit_dtype(array.type, [&](auto type) {
    using T = typename decltype(type)::type;
    merge_sorted<T, Index><<<blocks, block_threads, 0, stream>>>(
        target, deltas.op, sorted, order, deltas.count, deltas.values, bad_index);
  });
  return cudaGetLastError();
}

}  // namespace

device_code check_deltas(const device_array& array, const element_deltas& deltas,
                         device_error* why) noexcept {
  if (!supports(deltas.op, array.type)) {
    return refuse(why, device_code::invalid, "no operator '%s' for %s", name_of(deltas.op).data(),
                  name_of(array.type).data());
  }
  if (deltas.count > element_deltas_max) {
    return refuse(why, device_code::invalid, "%llu deltas at once, at most %llu",
                  static_cast<unsigned long long>(deltas.count),
                  static_cast<unsigned long long>(element_deltas_max));
  }
  if (deltas.count != 0 && (deltas.indices == nullptr || deltas.values == nullptr)) {
    return refuse(why, device_code::invalid, "%llu deltas without a column",
                  static_cast<unsigned long long>(deltas.count));
  }
  return device_code::ok;
}

std::size_t element_scratch_bytes(const element_deltas& deltas) noexcept {
  if (deltas.is_distinct || deltas.count == 0) return 0;
  const std::size_t index_size = deltas.is_wide ? sizeof(std::uint64_t) : sizeof(std::uint32_t);
  return sort_scratch_of(deltas.count, index_size).total;
}

cudaError_t scatter_elements(const device_array& array, const element_deltas& deltas,
                             const device_scatter& into, void* scratch, std::size_t scratch_bytes,
                             std::uint64_t* bad_index, cudaStream_t stream) noexcept {
  if (deltas.count == 0) return cudaSuccess;
  auto* bytes = static_cast<std::byte*>(scratch);
  return deltas.is_wide ? scatter_by<std::uint64_t>(array, deltas, into, bytes, scratch_bytes,
                                                    bad_index, stream)
                        : scatter_by<std::uint32_t>(array, deltas, into, bytes, scratch_bytes,
                                                    bad_index, stream);
}

}  // namespace sheaf::inline v0
