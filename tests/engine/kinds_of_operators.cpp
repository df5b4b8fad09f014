#include "engine/kinds_of_operators.hpp"

namespace engine_test {

namespace {

void build_elementwise(world& w, model& in, const std::string& p, array<float> x) {
  w.show(in, p + "combined", in.derive(p + "combined", combine(semiring_id::min_plus, {x, w.y})));
  w.show(in, p + "weighted",
         in.derive(p + "weighted", combine(semiring_id::sum_product,
                                           {term{x, w.y}, term{w.y, element_of(x, 3)}})));
  w.show(in, p + "program", in.derive(p + "program", exp(x * 0.01f) + w.y));
  w.show(in, p + "selected", in.derive(p + "selected", select(lt(x, w.y), x, w.y * 2.0f)));
  w.show(in, p + "cast", in.derive(p + "cast", cast<std::int32_t>(x) + 1));
  w.show(in, p + "wide", in.derive(p + "wide", cast<double>(x)));
  w.show(in, p + "custom", in.derive(p + "custom", apply<desk::blend>(x, w.y, 0.25f)));
}

void build_reductions(world& w, model& in, const std::string& p, array<float> x) {
  std::vector<std::uint32_t> group(world::length);
  for (std::uint32_t i = 0; i < world::length; ++i) group[i] = i * 7 % 40;
  w.show(in, p + "sum", in.derive(p + "sum", sum(x)));
  w.show(in, p + "least", in.derive(p + "least", minimum_of(x + w.y)));
  w.show(in, p + "groups", in.derive(p + "groups", segment_reduce(semiring_id::sum_product, x,
                                                                  segments::from_ids(group, 40))));
}

void build_gathers(world& w, model& in, const std::string& p, array<float> x) {
  std::vector<std::uint32_t> table(2000);
  for (std::uint32_t i = 0; i < 2000; ++i) table[i] = i * 11 % world::length;
  w.show(in, p + "by_table", in.derive(p + "by_table", gather(x, table)));
  w.show(in, p + "by_array", in.derive(p + "by_array", gather(x, w.at)));
}

void build_products(world& w, model& in, const std::string& p, array<float> x) {
  std::vector<std::uint32_t> offsets{0}, indices;
  for (std::uint32_t row = 0; row < 300; ++row) {
    for (std::uint32_t k = 0; k < 5; ++k) indices.push_back((row * 13 + k * 101) % world::length);
    offsets.push_back(static_cast<std::uint32_t>(indices.size()));
  }
  const auto matrix = sparse_matrix::from_csr(world::length, offsets, indices);
  w.show(in, p + "spmv", in.derive(p + "spmv", spmv(semiring_id::sum_product, matrix, w.y, x)));
  const auto row = in.derive(p + "row", gather(x, {1, 5, 9, 700, 1400, 3, 8, 77, 90, 11}));
  w.show(in, p + "gemv", in.derive(p + "gemv", gemv(semiring_id::sum_product, w.y, row)));
  w.show(in, p + "matmul",
         in.derive(p + "matmul", matmul(semiring_id::min_plus, x, w.y, world::columns)));
}

void build_stencils(world& w, model& in, const std::string& p, array<float> x) {
  w.show(in, p + "line",
         in.derive(p + "line", stencil(semiring_id::sum_product, x,
                                       {{-1, 0.25f}, {0, 0.5f}, {1, 0.25f}})));
  w.show(in, p + "plane",
         in.derive(p + "plane",
                   stencil(semiring_id::sum_product, x, grid{world::rows, world::columns},
                           {{0, 0, 0.5f}, {-1, 0, 0.1f}, {1, 0, 0.1f}, {0, -1, 0.1f},
                            {0, 1, 0.1f}},
                           {.edge = boundary::wrap})));
}

void build_scans(world& w, model& in, const std::string& p, array<float> x) {
  w.show(in, p + "running", in.derive(p + "running", scan(semiring_id::sum_product, x)));
  w.show(in, p + "before",
         in.derive(p + "before", scan(semiring_id::max_plus, x, {.exclusive = true})));
  w.show(in, p + "parts",
         in.derive(p + "parts", scan(semiring_id::sum_product, x, {.starts = {10, 700, 701}})));
}

void build_orders(world& w, model& in, const std::string& p, array<float> x) {
  w.show(in, p + "order", in.derive(p + "order", sort_index(x)));
  w.show(in, p + "first", in.derive(p + "first", top_k(x, 20)));
  w.show(in, p + "which", in.derive(p + "which", top_k_index(x, 20)));
  w.show(in, p + "counts",
         in.derive(p + "counts", histogram(x, even_edges(-200.0f, 300.0f, 16))));
}

void build_fixpoints(world& w, model& in, const std::string& p, array<float> x) {
  const std::uint64_t stride = fixpoint_stride<float>(1);
  std::vector<std::uint32_t> places(world::vertices * stride);
  for (std::uint32_t i = 0; i < places.size(); ++i) places[i] = i;
  const auto from = in.derive(p + "from", gather(x, places));
  const auto start = in.derive(p + "start", w.base + abs(from));
  w.show(in, p + "paths", in.derive(p + "paths", fixpoint(semiring_id::min_plus, start, w.ends[0],
                                                          w.ends[1], w.weight)));
  const auto head = in.derive(p + "head", gather(x, {0, 1, 2, 3}));
  std::vector<array<float>> ring;
  for (int i = 0; i < 3; ++i) {
    ring.push_back(in.declare<float>(p + "ring" + std::to_string(i), 4));
  }
  in.fixpoint<float>(semiring_id::max_min, {{ring[0], {head, ring[2]}},
                                            {ring[1], {term{ring[0], 50.0f}}},
                                            {ring[2], {ring[1], term{head, 20.0f}}}});
  for (int i = 0; i < 3; ++i) {
    w.show(in, p + "ring" + std::to_string(i), ring[static_cast<std::size_t>(i)]);
  }
}

void build_delays(world& w, model& in, const std::string& p, array<float> x) {
  const auto late = in.derive(p + "late", delay(x, 5.0f));
  w.show(in, p + "late", late);
  const auto later = in.derive(p + "later", delay(late));
  const auto sum_of_all = in.declare<float>(p + "all", world::length);
  const auto before = in.derive(p + "before", delay(sum_of_all));
  in.define(sum_of_all, before * 0.5f + x + later);
  w.show(in, p + "all", sum_of_all);
}

void build_contiguous(world& w, model& in, const std::string& p, array<float> x) {
  w.show(in, p + "flat", in.derive(p + "flat", x * 2.0f, {.layout = layout::contiguous}));
  w.show(in, p + "flat_scan", in.derive(p + "flat_scan", scan(semiring_id::sum_product, w.y),
                                        {.layout = layout::contiguous}));
}

}  // namespace

const std::vector<operator_kind_case>& operator_kinds() {
  static const std::vector<operator_kind_case> all{
      {"elementwise", build_elementwise}, {"reductions", build_reductions},
      {"gathers", build_gathers},         {"products", build_products},
      {"stencils", build_stencils},       {"scans", build_scans},
      {"orders", build_orders},           {"fixpoints", build_fixpoints, true, false, true},
      {"delays", build_delays},    {"contiguous", build_contiguous, true, true},
  };
  return all;
}

}  // namespace engine_test
