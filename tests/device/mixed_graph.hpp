/// \file
/// A graph over two sources in which device and host take turns three times: sort, scan, custom
/// operator, host function, fixpoint and histogram between operators that have bodies on a device.
///
/// Thread safety: none.
#pragma once

#include <vector>

#include <sheaf/graph/model.hpp>
#include <sheaf/graph/sparse.hpp>

#include "device/engine_group.hpp"
#include "propagate/operators/desk_operators.hpp"

namespace sheaf_test {

struct mixed_graph {
  static constexpr std::uint64_t length = 3000;
  sheaf::model declared;
  std::vector<named_array> derived;
  /// What the host function returns.
  sheaf::status said = {};

  template <template <class> class What, class T>
  sheaf::array<T> add(const char* name, const What<T>& what) {
    const sheaf::array<T> made = declared.derive(name, what);
    derived.push_back({name, made});
    return made;
  }
  sheaf::array<float> a = declared.source<float>("a", length);
  sheaf::array<float> b = declared.source<float>("b", length);
  sheaf::array<float> c = declared.source<float>("c", length);  ///< only the host reads it
  sheaf::array<float> d = declared.source<float>("d", length);  ///< as `c`
  sheaf::array<float> both = add("both", a + b);
  sheaf::array<std::uint32_t> order = add("order", sort_index(both));
  sheaf::array<float> picked = add("picked", gather(both, order));
  sheaf::array<float> running =
      add("running", scan(sheaf::semiring_id::max_plus, picked));
  sheaf::array<float> blended = add("blended", sheaf::apply<desk::blend>(both, running, 0.25f));
  sheaf::array<float> mixed = add("mixed", blended * 2.0f + a);
  sheaf::array<float> called = call_host();
  sheaf::array<float> total = add("total", sheaf::sum(called + mixed));
  sheaf::array<float> late = add("late", sheaf::delay(called, 3.0f));
  sheaf::array<float> echo = add("echo", late + a);
  /// In a late stage, and reads by element what an early one changed.
  sheaf::array<float> product =
      add("product", spmv(sheaf::semiring_id::sum_product, shuffled_rows(), blended, both));
  /// Of the first stage, and read in the third.
  sheaf::array<float> tail = add("tail", scan(sheaf::semiring_id::max_plus, d));
  sheaf::array<float> joined = add("joined", tail + running);
  // Beside it: the device alone, and a host-run one that nobody reads.
  sheaf::array<float> twice = add("twice", b + b);
  sheaf::array<float> square = add("square", twice * twice);
  sheaf::array<float> least = add("least", sheaf::minimum_of(square));
  sheaf::array<std::uint32_t> counts =
      add("counts", histogram(square, sheaf::even_edges(-10.0f, 100.0f, 8)));
  sheaf::array<float> first = add("first", top_k(c, 20));

 private:
  /// Ten entries a row, every column in one.
  static sheaf::sparse_matrix shuffled_rows() {
    std::vector<std::uint32_t> offsets{0}, indices;
    for (std::uint32_t row = 0; row < length / 10; ++row) {
      for (std::uint32_t k = 0; k < 10; ++k) indices.push_back((row * 10 + k) * 7 % length);
      offsets.push_back(static_cast<std::uint32_t>(indices.size()));
    }
    return sheaf::sparse_matrix::from_csr(length, offsets, indices);
  }
  sheaf::array<float> call_host() {
    const auto made =
        declared.derive_host<float>("called", length, {mixed}, [this](sheaf::host_call& call) {
          const auto in = call.operand<float>(0);
          const auto out = call.result<float>();
          for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[i] * 0.5f + 1.0f;
          return said;
        });
    derived.push_back({"called", made});
    return made;
  }
};

}  // namespace sheaf_test
