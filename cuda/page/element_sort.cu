/// \file
/// CUB's radix sort of pairs, for both widths of an index.
#include "cuda/page/element_sort.hpp"

#include <cub/device/device_radix_sort.cuh>

namespace sheaf::inline v0 {

namespace {

template <class Index>
cudaError_t sort(const void* indices, std::uint64_t count, unsigned bits, const sort_scratch& at,
                 std::byte* scratch, void* temporary, std::size_t* temporary_bytes,
                 cudaStream_t stream) {
  constexpr unsigned index_bits = sizeof(Index) * 8;
  return cub::DeviceRadixSort::SortPairs(
      temporary, *temporary_bytes, static_cast<const Index*>(indices),
      reinterpret_cast<Index*>(scratch + at.sorted),
      reinterpret_cast<const std::uint32_t*>(scratch + at.order_in),
      reinterpret_cast<std::uint32_t*>(scratch + at.order), static_cast<int>(count), 0,
      static_cast<int>(bits < index_bits ? bits : index_bits), stream);
}

cudaError_t sort_by(std::size_t index_size, const void* indices, std::uint64_t count,
                    unsigned bits, const sort_scratch& at, std::byte* scratch, void* temporary,
                    std::size_t* temporary_bytes, cudaStream_t stream) {
  return index_size == sizeof(std::uint64_t)
             ? sort<std::uint64_t>(indices, count, bits, at, scratch, temporary, temporary_bytes,
                                   stream)
             : sort<std::uint32_t>(indices, count, bits, at, scratch, temporary, temporary_bytes,
                                   stream);
}

}  // namespace

sort_scratch sort_scratch_of(std::uint64_t count, std::size_t index_size) noexcept {
  const auto aligned = [](std::size_t bytes) { return (bytes + 255) / 256 * 256; };
  sort_scratch made{};
  made.order_in = aligned(count * index_size);
  made.order = made.order_in + aligned(count * sizeof(std::uint32_t));
  made.temporary = made.order + aligned(count * sizeof(std::uint32_t));
  const cudaError_t error = sort_by(index_size, nullptr, count, 64, made, nullptr, nullptr,
                                    &made.temporary_bytes, nullptr);
  if (error != cudaSuccess) made.temporary_bytes = 0;
  made.total = made.temporary + aligned(made.temporary_bytes + 1);
  return made;
}

cudaError_t sort_indices(const void* indices, std::uint64_t count, std::size_t index_size,
                         unsigned bits, const sort_scratch& at, std::byte* scratch,
                         cudaStream_t stream) noexcept {
  std::size_t temporary_bytes = at.temporary_bytes;
  return sort_by(index_size, indices, count, bits, at, scratch, scratch + at.temporary,
                 &temporary_bytes, stream);
}

}  // namespace sheaf::inline v0
