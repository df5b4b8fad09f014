// What the programs that test cuda/page on a device share: checks, and a rig whose pages lie there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cuda_runtime.h>

#include "page/device_rig.hpp"

namespace page_test {

inline int& failures() {
  static int count = 0;
  return count;
}
#define PAGE_CHECK(condition, ...)                                       \
  do {                                                                   \
    if (!(condition)) {                                                  \
      ++::page_test::failures();                                         \
      std::printf("%s:%d: wrong: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                          \
      std::printf("\n");                                                 \
    }                                                                    \
  } while (false)

// An error of the runtime ends the program: nothing that follows would mean anything.
inline void must(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("%s: %s\n", what, cudaGetErrorString(error));
  std::_Exit(1);
}
#define PAGE_MUST(call) ::page_test::must((call), #call)

// False, with a line that says why, where there is no device.
inline bool has_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return true;
  std::printf("skipped: no device: %s\n", cudaGetErrorString(error));
  return false;
}

// Device memory for the life of an object.
template <class T>
class device_vector {
 public:
  explicit device_vector(std::size_t count) : count_(count) {
    PAGE_MUST(cudaMalloc(reinterpret_cast<void**>(&data_), (count + 1) * sizeof(T)));
    PAGE_MUST(cudaMemset(data_, 0, (count + 1) * sizeof(T)));
    PAGE_MUST(cudaDeviceSynchronize());  // streams that do not block know nothing of the memset
  }
  explicit device_vector(const std::vector<T>& from) : device_vector(from.size()) { put(from); }
  device_vector(const device_vector&) = delete;
  device_vector& operator=(const device_vector&) = delete;
  ~device_vector() { cudaFree(data_); }
  void put(const std::vector<T>& from) {
    PAGE_MUST(cudaMemcpy(data_, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
    PAGE_MUST(cudaDeviceSynchronize());
  }
  [[nodiscard]] std::vector<T> get() const {
    std::vector<T> to(count_);
    PAGE_MUST(cudaMemcpy(to.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return to;
  }
  [[nodiscard]] T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

// The pages of a rig on a device.
struct device_mirror {
  explicit device_mirror(device_rig& of)
      : rig(of), frames(of.frames), classes(of.classes), changed(of.changed) {
    for (unsigned size = 0; size < page_class_count; ++size) {
      memory.push_back(std::make_unique<device_vector<std::byte>>(rig.expected[size]));
    }
  }
  [[nodiscard]] device_pages pages() const {
    device_pages made{};
    for (unsigned size = 0; size < page_class_count; ++size) made.base[size] = memory[size]->data();
    made.frames = frames.data();
    return made;
  }
  [[nodiscard]] device_scatter scatter(bool notes_equal_lines) const {
    return {pages(), changed.data(), notes_equal_lines};
  }
  [[nodiscard]] slot_classes slots() const { return {rig.classes.data(), rig.slot_count()}; }
  // Bits and masks are those that the rig expects.
  [[nodiscard]] bool is_as_expected() const {
    PAGE_MUST(cudaDeviceSynchronize());
    for (unsigned size = 0; size < page_class_count; ++size) {
      if (memory[size]->get() != rig.expected[size]) return false;
    }
    return changed.get() == rig.expected_changed;
  }

  device_rig& rig;
  device_vector<std::uint32_t> frames;
  device_vector<page_class> classes;
  device_vector<line_mask> changed;
  std::vector<std::unique_ptr<device_vector<std::byte>>> memory;
};

}  // namespace page_test
