#include "device/conformance_graph.hpp"

#include <algorithm>
#include <optional>

#include <sheaf/graph/dense.hpp>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/graph/stencil.hpp>

#include "model/dice.hpp"

namespace sheaf_test {

using namespace sheaf;
using model_test::dice;

namespace {

/// Shapes of the products: none a multiple of a line.
constexpr std::uint64_t rows = 37, inner = 11, columns = 29;
constexpr std::uint64_t grid_rows = 17, grid_columns = 23;

template <element T>
class graph_builder {
 public:
  graph_builder(conformance_graph<T>& into, page_class page, std::uint64_t seed)
      : into_(into), page_(page), random_(seed) {}

  void build() {
    declare_sources();
    for (unsigned i = 0; i < semiring_count; ++i) {
      const auto ring = static_cast<semiring_id>(i);
      if (!supports(ring, dtype_of<T>)) continue;
      add_combines(ring);
      add_folds(ring);
      add_products(ring);
      add_stencils(ring);
    }
    add_moves();
    add_programs();
    if constexpr (float_element<T>) add_float_programs();
    else add_integer_programs();
  }

 private:
  array<T> source(const char* name, std::uint64_t length) {
    into_.sources.push_back(into_.declared.template source<T>(name, length, {.page = page_}));
    return into_.sources.back();
  }
  void declare_sources() {
    const std::uint64_t per_page = bytes_of(page_) / sizeof(T);
    length_ = std::max<std::uint64_t>(300, per_page * 5 / 2) + 1;
    x_ = source("x", length_);
    y_ = source("y", length_);
    z_ = source("z", length_);
    left_ = source("left", rows * inner);
    right_ = source("right", inner * columns);
    vector_ = source("vector", inner);
    plane_ = source("plane", grid_rows * grid_columns);
    std::vector<std::uint32_t> offsets{0}, indices;
    for (std::uint64_t row = 0; row < 200; ++row) {
      const std::uint64_t entries = row % 9 == 4 ? 40 : random_.below(6);
      for (std::uint64_t i = 0; i < entries; ++i) {
        indices.push_back(static_cast<std::uint32_t>(random_.below(length_)));
      }
      std::sort(indices.begin() + offsets.back(), indices.end());
      indices.erase(std::unique(indices.begin() + offsets.back(), indices.end()), indices.end());
      offsets.push_back(static_cast<std::uint32_t>(indices.size()));
    }
    weights_ = source("weights", indices.size());
    matrix_.emplace(sparse_matrix::from_csr(length_, offsets, indices));
    into_.at = into_.declared.template source<std::uint32_t>("at", 333, {.page = page_});
  }

  template <class What>
  void show(std::string name, const What& what) {
    const auto made = into_.declared.derive(name, what, {.page = page_});
    into_.derived.push_back({std::move(name), made});
  }
  [[nodiscard]] static std::string in(semiring_id ring, const char* what) {
    return std::string(what) + " in " + std::string(name_of(ring));
  }

  void add_combines(semiring_id ring) {
    show(in(ring, "combine of 1"), combine(ring, {x_}));
    show(in(ring, "combine of 2"), combine(ring, {x_, y_}));
    show(in(ring, "combine of 3"), combine(ring, {z_, x_, y_}));
    show(in(ring, "combine of 4"), combine(ring, {x_, y_, z_, x_}));
    show(in(ring, "combine of 6"), combine(ring, {y_, x_, z_, z_, x_, y_}));
    show(in(ring, "combine by constants"),
         combine(ring, {term{x_, T{3}}, term{y_, T{2}}, term{z_, T{1}}}));
    show(in(ring, "combine by arrays"), combine(ring, {term{x_, y_}, term{y_, z_}}));
    show(in(ring, "combine by elements"),
         combine(ring, {term{x_, element_of(z_, 7)}, term{element_of(y_, 3), x_}}));
  }

  void add_folds(semiring_id ring) {
    show(in(ring, "reduce"), reduce(ring, x_));
    show(in(ring, "reduce of a program"), reduce(ring, x_ * y_ + z_));
    std::vector<std::uint32_t> group(length_);
    for (auto& each : group) each = static_cast<std::uint32_t>(random_.below(50));
    show(in(ring, "segments"), segment_reduce(ring, y_, segments::from_ids(group, 53)));
  }

  void add_products(semiring_id ring) {
    show(in(ring, "spmv"), spmv(ring, *matrix_, weights_, x_));
    show(in(ring, "gemv"), gemv(ring, left_, vector_));
    show(in(ring, "matmul"), matmul(ring, left_, right_, inner));
  }

  void add_stencils(semiring_id ring) {
    constexpr boundary edges[] = {boundary::clamp, boundary::wrap, boundary::constant,
                                  boundary::skip};
    constexpr const char* names[] = {"clamp", "wrap", "constant", "skip"};
    for (unsigned i = 0; i < 4; ++i) {
      const stencil_options<T> options{.edge = edges[i], .outside = T{5}};
      show(in(ring, "line stencil") + ", " + names[i],
           stencil(ring, x_, {{-19, T{2}}, {-1, T{1}}, {0, T{3}}, {2, T{1}}}, options));
      show(in(ring, "grid stencil") + ", " + names[i],
           stencil(ring, plane_, grid{grid_rows, grid_columns},
                   {{0, 0, T{2}}, {-1, 0, T{1}}, {1, 1, T{3}}, {0, -2, T{1}}}, options));
    }
  }

  void add_moves() {
    std::vector<std::uint32_t> table(400);
    for (auto& each : table) each = static_cast<std::uint32_t>(random_.below(length_));
    show("gather by a table", gather(x_, table));
    show("gather by an array", gather(x_, into_.at));
    show("copy", x_);
    show("broadcast", x_ * element_of(y_, 5));
    add_cast<float>("f32");
    add_cast<double>("f64");
    add_cast<std::int32_t>("i32");
    add_cast<std::int64_t>("i64");
    add_cast<std::uint8_t>("u8");
    add_cast<std::uint32_t>("u32");
    add_cast<std::uint64_t>("u64");
  }
  template <element To>
  void add_cast(const char* name) {
    if constexpr (!std::same_as<To, T>) show(std::string("cast to ") + name, cast<To>(z_));
  }

  void add_programs() {
    show("x + y", x_ + y_);
    show("x - y", x_ - y_);
    show("x * y", x_ * y_);
    show("x / y", x_ / y_);
    show("-x", -x_);
    show("abs", abs(x_));
    show("min", min(x_, y_));
    show("max", max(x_, y_));
    show("fma", fma(x_, y_, z_));
    show("eq", eq(x_, y_));
    show("ne", ne(x_, z_));
    show("lt", lt(x_, y_));
    show("le", le(y_, z_));
    show("select", select(lt(x_, y_), z_, y_ * T{3}));
    show("a deep program", max((x_ - y_) * z_ + x_ / T{7}, abs(y_) - min(x_ * T{3}, z_) / y_));
  }
  void add_float_programs() {
    show("sqrt", sqrt(x_));
    show("exp", exp(x_));
    show("log", log(y_));
    show("tanh", tanh(x_));
    show("erf", erf(z_));
    show("sin", sin(x_));
    show("cos", cos(y_));
    show("pow", pow(x_, y_));
  }
  void add_integer_programs() {
    show("and", x_ & y_);
    show("or", x_ | z_);
    show("xor", x_ ^ y_);
    show("not", ~z_);
    show("shift left", x_ << y_);
    show("shift right", x_ >> y_);
  }

  conformance_graph<T>& into_;
  page_class page_;
  dice random_;
  std::uint64_t length_ = 0;
  array<T> x_, y_, z_, left_, right_, vector_, plane_, weights_;
  std::optional<sparse_matrix> matrix_;
};

}  // namespace

template <element T>
conformance_graph<T>::conformance_graph(page_class page, std::uint64_t seed) {
  graph_builder<T>(*this, page, seed).build();
}

template struct conformance_graph<float>;
template struct conformance_graph<double>;
template struct conformance_graph<std::int32_t>;
template struct conformance_graph<std::int64_t>;
template struct conformance_graph<std::uint8_t>;
template struct conformance_graph<std::uint32_t>;
template struct conformance_graph<std::uint64_t>;

}  // namespace sheaf_test
