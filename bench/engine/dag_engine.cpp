#include "dag.hpp"

#include <cstdio>
#include <cstdlib>

namespace sheaf_bench {

using namespace sheaf;

std::vector<int> dag_shape::parents() const {
  std::vector<int> out(static_cast<std::size_t>(dag_levels) * dag_width * dag_fan_in);
  std::mt19937 generator(12345);
  for (int node = 0; node < dag_levels * dag_width; ++node) {
    int* mine = out.data() + node * dag_fan_in;
    for (int k = 0; k < dag_fan_in; ++k) {
      bool is_new = false;
      while (!is_new) {
        mine[k] = random ? static_cast<int>(generator() % dag_width)
                         : (node % dag_width + k) % dag_width;
        is_new = true;
        for (int j = 0; j < k; ++j) is_new &= mine[j] != mine[k];
      }
    }
  }
  return out;
}

std::vector<line_change> changes_of(const dag_shape& shape, int round) {
  std::vector<line_change> out;
  std::mt19937 generator(99);
  for (int k = 0; k < 10; ++k) {
    const int line = static_cast<int>(generator() % static_cast<unsigned>(shape.elements / 16));
    out.push_back({k * 100 + 17, line, static_cast<float>((round & 1) + 5)});
  }
  return out;
}

void fill_sources(std::vector<float>& values, int round) {
  std::uint32_t x = 12345u + static_cast<std::uint32_t>(round);
  for (float& value : values) {
    x = x * 1664525u + 1013904223u;
    value = static_cast<float>(x >> 30) + static_cast<float>(round & 7);
  }
}

namespace {
[[noreturn]] void stop(const status& why) {
  std::fprintf(stderr, "benchmark stopped: %s\n", why.message().c_str());
  std::abort();
}
}  // namespace

dag_engine::dag_engine(const dag_shape& shape, semiring_id ring, const engine_options& options)
    : shape_(shape) {
  model declared;
  const auto length = static_cast<std::uint64_t>(shape.elements);
  for (int i = 0; i < dag_width; ++i) sources_.push_back(declared.source<float>("", length));
  const std::vector<int> parents = shape.parents();
  std::vector<array<float>> above = sources_;
  for (int level = 0; level < dag_levels; ++level) {
    last_.clear();
    for (int i = 0; i < dag_width; ++i) {
      array<float> operands[dag_fan_in];
      for (int k = 0; k < dag_fan_in; ++k) {
        operands[k] = above[static_cast<std::size_t>(
            parents[static_cast<std::size_t>((level * dag_width + i) * dag_fan_in + k)])];
      }
      last_.push_back(
          declared.derive<float>("", combine(ring, std::span<const array<float>>(operands))));
    }
    above = last_;
  }
  auto opened = engine::open(declared, options);
  if (!opened) stop(opened.error());
  engine_ = std::make_unique<sheaf::engine>(std::move(*opened));
}

void dag_engine::change_everything() {
  const auto elements = static_cast<std::size_t>(shape_.elements);
  fresh_.resize(dag_width * elements);
  fill_sources(fresh_, ++round_);
  auto txn = engine_->begin();
  for (std::size_t i = 0; i < dag_width; ++i) {
    txn.range_borrowed(sources_[i], {}, std::span(fresh_).subspan(i * elements, elements));
  }
  if (auto done = std::move(txn).commit(); !done) stop(done.error());
}

void dag_engine::change_lines() {
  ++round_;
  auto txn = engine_->begin();
  for (const line_change& change : changes_of(shape_, round_)) {
    float values[16];
    for (float& value : values) value = change.value;
    txn.range(sources_[static_cast<std::size_t>(change.source)],
              {.index = static_cast<std::uint64_t>(change.line) * 16},
              std::span<const float>(values));
  }
  if (auto done = std::move(txn).commit(); !done) stop(done.error());
}

std::vector<float> dag_engine::last_level() {
  const auto elements = static_cast<std::size_t>(shape_.elements);
  std::vector<float> out(dag_width * elements);
  const auto now = engine_->snapshot();
  for (std::size_t i = 0; i < dag_width; ++i) {
    auto seen = now.fetch(last_[i]);
    if (!seen) stop(seen.error());
    seen->copy_to(std::span(out).subspan(i * elements, elements));
  }
  return out;
}

}  // namespace sheaf_bench
