#include "dag.hpp"

#include <immintrin.h>
#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace sheaf_bench {

namespace {

constexpr int line_floats = 16;

#pragma GCC push_options
#pragma GCC target("avx2,fma")

template <bool Minimum>
__attribute__((always_inline)) inline __m256 combine(__m256 a, __m256 b) {
  if constexpr (!Minimum) return _mm256_add_ps(a, b);
  // minimum of IEEE 754-2019 for values without NaN: -0 below +0 by or-ing equal bits.
  const __m256 smaller = _mm256_min_ps(a, b);
  return _mm256_or_ps(smaller, _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ), a));
}

template <bool Minimum>
__attribute__((always_inline)) inline bool line_of_four(float* out, const float* a, const float* b,
                                                        const float* c, const float* d) {
  __m256i differ = _mm256_setzero_si256();
  __m256 results[2];
  for (int half = 0; half < 2; ++half) {
    const int at = half * 8;
    __m256 sum = combine<Minimum>(_mm256_load_ps(a + at), _mm256_load_ps(b + at));
    sum = combine<Minimum>(sum, _mm256_load_ps(c + at));
    sum = combine<Minimum>(sum, _mm256_load_ps(d + at));
    const __m256 nan = _mm256_cmp_ps(sum, sum, _CMP_UNORD_Q);
    sum = _mm256_blendv_ps(sum, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)), nan);
    results[half] = sum;
    differ = _mm256_or_si256(differ, _mm256_xor_si256(_mm256_castps_si256(sum),
                                                      _mm256_load_si256(
                                                          reinterpret_cast<__m256i*>(out + at))));
  }
  if (_mm256_testz_si256(differ, differ)) return false;
  _mm256_store_ps(out, results[0]);
  _mm256_store_ps(out + 8, results[1]);
  return true;
}

template <bool Minimum>
std::uint64_t page_of_four(float* out, const float* a, const float* b, const float* c,
                           const float* d, int lines) {
  std::uint64_t changed = 0;
  for (int line = 0; line < lines; ++line) {
    const int at = line * line_floats;
    changed |= std::uint64_t{line_of_four<Minimum>(out + at, a + at, b + at, c + at, d + at)}
               << line;
  }
  return changed;
}

template <bool Minimum>
std::uint64_t lines_of_four(float* out, const float* a, const float* b, const float* c,
                            const float* d, std::uint64_t mask) {
  std::uint64_t changed = 0;
  for (; mask != 0; mask &= mask - 1) {
    const int line = std::countr_zero(mask);
    const int at = line * line_floats;
    changed |= std::uint64_t{line_of_four<Minimum>(out + at, a + at, b + at, c + at, d + at)}
               << line;
  }
  return changed;
}

#pragma GCC pop_options

}  // namespace

/// One helping thread and a spinning barrier per level. Between runs it sleeps, so that it takes no
/// core from what is measured beside it.
struct dag_floor::helper {
  explicit helper(dag_floor& owner) : owner_(owner), thread_([this] { work(); }) {}
  ~helper() {
    stop_ = true;
    start_.fetch_add(1);
    start_.notify_one();
    thread_.join();
  }
  void run() {
    arrived_ = 0;
    start_.fetch_add(1);
    start_.notify_one();
    levels(0);
    while (done_.load() != start_.load()) _mm_pause();
  }

 private:
  void levels(int me) {
    int target = 0;
    for (int level = 0; level < dag_levels; ++level) {
      owner_.recompute(level, me * dag_width / 2, (me + 1) * dag_width / 2);
      target += 2;
      arrived_.fetch_add(1);
      while (arrived_.load() < target) _mm_pause();
    }
  }
  void work() {
    for (int seen = 0;;) {
      start_.wait(seen);
      if (stop_.load()) return;
      ++seen;
      levels(1);
      done_.store(seen);
    }
  }
  dag_floor& owner_;
  std::atomic<int> start_{0}, done_{0}, arrived_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

dag_floor::dag_floor(const dag_shape& shape, bool minimum, int threads)
    : shape_(shape), minimum_(minimum), parents_(shape.parents()) {
  const std::size_t huge = std::size_t{2} << 20;
  const std::size_t bytes = static_cast<std::size_t>(dag_levels + 1) * dag_width *
                            static_cast<std::size_t>(shape.elements) * sizeof(float);
  memory_ = static_cast<float*>(std::aligned_alloc(huge, (bytes + huge - 1) / huge * huge));
  madvise(memory_, bytes, MADV_HUGEPAGE);
  std::memset(memory_, 0, bytes);
  masks_.resize((dag_levels + 1) * dag_width);
  bits_.resize((dag_levels + 1) * ((dag_width + 63) / 64));
  child_begin_.assign(dag_levels * (dag_width + 1), 0);
  children_.resize(parents_.size());
  for (int level = 0; level < dag_levels; ++level) {
    int* begin = child_begin_.data() + level * (dag_width + 1);
    const int* parents = parents_.data() + level * dag_width * dag_fan_in;
    int* children = children_.data() + level * dag_width * dag_fan_in;
    for (int e = 0; e < dag_width * dag_fan_in; ++e) ++begin[parents[e] + 1];
    for (int i = 0; i < dag_width; ++i) begin[i + 1] += begin[i];
    std::vector<int> at(begin, begin + dag_width);
    for (int e = 0; e < dag_width * dag_fan_in; ++e) children[at[parents[e]]++] = e / dag_fan_in;
  }
  if (threads > 1) helper_ = std::make_unique<helper>(*this);
}

dag_floor::~dag_floor() {
  helper_.reset();
  std::free(memory_);
}

void dag_floor::recompute(int level, int begin, int end) {
  const int lines = shape_.elements / line_floats;
  const int* parents = parents_.data() + level * dag_width * dag_fan_in;
  for (int i = begin; i < end; ++i) {
    const int* p = parents + i * dag_fan_in;
    const auto body = minimum_ ? page_of_four<true> : page_of_four<false>;
    body(page(level + 1, i), page(level, p[0]), page(level, p[1]), page(level, p[2]),
         page(level, p[3]), lines);
  }
}

void dag_floor::recompute_all() {
  if (helper_) {
    helper_->run();
    return;
  }
  for (int level = 0; level < dag_levels; ++level) recompute(level, 0, dag_width);
}

void dag_floor::fill() {
  fresh_.resize(static_cast<std::size_t>(dag_width) * static_cast<std::size_t>(shape_.elements));
  fill_sources(fresh_, ++round_);
  std::memcpy(memory_, fresh_.data(), fresh_.size() * sizeof(float));
}

void dag_floor::change_everything() {
  fill();
  recompute_all();
}

void dag_floor::apply_lines() {
  ++round_;
  for (const line_change& change : changes_of(shape_, round_)) {
    float* at = page(0, change.source) + change.line * line_floats;
    for (int e = 0; e < line_floats; ++e) at[e] = change.value;
  }
}

void dag_floor::change_lines_full() {
  apply_lines();
  recompute_all();
}

std::uint64_t dag_floor::recompute_lines(int level, int node, std::uint64_t mask) {
  const int* p = parents_.data() + (level * dag_width + node) * dag_fan_in;
  const auto body = minimum_ ? lines_of_four<true> : lines_of_four<false>;
  return body(page(level + 1, node), page(level, p[0]), page(level, p[1]), page(level, p[2]),
              page(level, p[3]), mask);
}

void dag_floor::run_level_masked(int level, bool pull) {
  constexpr int words = (dag_width + 63) / 64;
  std::uint64_t* above = masks_.data() + level * dag_width;
  std::uint64_t* here = above + dag_width;
  std::uint64_t* above_bits = bits_.data() + level * words;
  std::uint64_t* here_bits = above_bits + words;
  changed_count_ = 0;
  const auto work = [&](int i, std::uint64_t mask) {
    here[i] = recompute_lines(level, i, mask);
    if (here[i] != 0) {
      ++changed_count_;
      here_bits[i >> 6] |= std::uint64_t{1} << (i & 63);
    } else {
      here_bits[i >> 6] &= ~(std::uint64_t{1} << (i & 63));
    }
  };
  if (pull) {
    for (int i = 0; i < dag_width; ++i) {
      const int* p = parents_.data() + (level * dag_width + i) * dag_fan_in;
      const std::uint64_t mask = above[p[0]] | above[p[1]] | above[p[2]] | above[p[3]];
      if (mask != 0) work(i, mask);
    }
    return;
  }
  const int* begin = child_begin_.data() + level * (dag_width + 1);
  const int* children = children_.data() + level * dag_width * dag_fan_in;
  for (int w = 0; w < words; ++w) {
    for (std::uint64_t b = above_bits[w]; b != 0; b &= b - 1) {
      const int i = w * 64 + std::countr_zero(b);
      for (int e = begin[i]; e < begin[i + 1]; ++e) {
        here[children[e]] |= above[i];
        here_bits[children[e] >> 6] |= std::uint64_t{1} << (children[e] & 63);
      }
    }
  }
  for (int w = 0; w < words; ++w) {
    for (std::uint64_t b = here_bits[w]; b != 0; b &= b - 1) {
      const int i = w * 64 + std::countr_zero(b);
      work(i, here[i]);
    }
  }
}

void dag_floor::change_lines_hybrid() {
  apply_lines();
  std::fill(masks_.begin(), masks_.end(), 0);
  std::fill(bits_.begin(), bits_.end(), 0);
  for (const line_change& change : changes_of(shape_, round_)) {
    masks_[static_cast<std::size_t>(change.source)] |= std::uint64_t{1} << change.line;
    bits_[static_cast<std::size_t>(change.source >> 6)] |= std::uint64_t{1} << (change.source & 63);
  }
  changed_count_ = 10;
  for (int level = 0; level < dag_levels && changed_count_ != 0; ++level) {
    run_level_masked(level, changed_count_ * dag_fan_in >= dag_width / 2);
  }
}

std::vector<float> dag_floor::last_level() const {
  const float* first = page(dag_levels, 0);
  return {first, first + static_cast<std::size_t>(dag_width) *
                             static_cast<std::size_t>(shape_.elements)};
}

}  // namespace sheaf_bench
