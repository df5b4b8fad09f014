// What the plugin asks of a CUDA toolkit, in the forms of CUDA 13. It is compiled and linked at
// configure time with the host compiler of the build, and never run.
#include <cooperative_groups.h>
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cuda/atomic>
#include <cuda/std/cstdint>
#include <span>

static_assert(CUDART_VERSION >= 13000, "CUDA 13 or later");

namespace {

template <class T>
concept word = sizeof(T) == 4;

__global__ void step(std::uint32_t* words, std::uint32_t count) {
  const auto grid = cooperative_groups::this_grid();
  const cuda::std::uint64_t first = grid.thread_rank();
  for (std::uint64_t i = first; i < count; i += grid.size()) {
    cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device> at(words[i]);
    at.fetch_or(1U, cuda::memory_order_relaxed);
  }
}

template <word T>
cudaError_t place(std::span<T> words, int device, cudaStream_t stream) {
  cudaMemLocation where{};
  where.type = cudaMemLocationTypeDevice;
  where.id = device;
  if (const cudaError_t e = cudaMemAdvise(words.data(), words.size_bytes(),
                                          cudaMemAdviseSetPreferredLocation, where)) {
    return e;
  }
  return cudaMemPrefetchAsync(words.data(), words.size_bytes(), where, 0, stream);
}

cudaError_t reserve(CUdeviceptr* base, std::size_t bytes) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult how{};
  if (const cudaError_t e = cudaGetDriverEntryPointByVersion("cuMemAddressReserve", &found, 10020,
                                                             cudaEnableDefault, &how)) {
    return e;
  }
  if (how != cudaDriverEntryPointSuccess) return cudaErrorSymbolNotFound;
  const auto call = reinterpret_cast<decltype(&cuMemAddressReserve)>(found);
  return call(base, bytes, 0, 0, 0) == CUDA_SUCCESS ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t replay(cudaStream_t stream, std::uint32_t* words, std::uint32_t count) {
  cudaGraph_t graph{};
  cudaGraphExec_t ready{};
  if (const cudaError_t e = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal)) {
    return e;
  }
  step<<<1, 32, 0, stream>>>(words, count);
  if (const cudaError_t e = cudaStreamEndCapture(stream, &graph)) return e;
  if (const cudaError_t e = cudaGraphInstantiate(&ready, graph, 0)) return e;
  return cudaGraphLaunch(ready, stream);
}

}  // namespace

extern "C" int sheaf_cuda_probe(std::uint32_t* words, std::uint32_t count) {
  cudaStream_t stream{};
  CUdeviceptr base = 0;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return 1;
  if (place(std::span(words, count), 0, stream) != cudaSuccess) return 2;
  if (reserve(&base, std::size_t{1} << 30) != cudaSuccess) return 3;
  return replay(stream, words, count) == cudaSuccess ? 0 : 4;
}
