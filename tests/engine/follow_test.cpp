/// \file
/// What follows an operand that is resized: scans, histograms, sorts, stencils, products, casts.
/// After every commit the engine has the bits of one that is opened with the final lengths; open
/// snapshots keep theirs. The seed is printed where a run fails; SHEAF_SEED sets the first one.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <string>

#include <sheaf/graph/dense.hpp>
#include <sheaf/graph/sequence.hpp>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/graph/stencil.hpp>

#include "engine/support.hpp"
#include "model/dice.hpp"

namespace engine_test {
namespace {

using model_test::dice;

constexpr std::uint64_t inner = 24;

struct sizes {
  std::uint64_t run = 1200;     ///< of what is scanned, sorted, counted, smoothed
  std::uint64_t indices = 40;
  std::uint64_t rows = 7;       ///< of the matrix
  std::uint64_t columns = 3;    ///< of the product
  std::uint64_t vector = 40;    ///< of what the sparse matrix is applied to
  std::vector<std::uint32_t> starts = {3,  30,  50,  60,  64,  65,  90,   100,  120,
                                       150, 200, 230, 250, 300, 500, 700, 1000, 1020};
  std::uint64_t lever = 16;     ///< of the vector of the other matrix
  std::uint64_t levers = 9;     ///< its rows
};

/// One array of every kind that follows.
struct everything {
  sheaf::model model;
  std::vector<array<float>> floats;
  std::vector<array<double>> doubles;
  std::vector<array<std::uint32_t>> words;

  everything(const sizes& of, bool& fails) {
    const auto x = model.source<float>("x", of.run);
    const auto at = model.source<std::uint32_t>("at", of.indices);
    const auto a = model.source<float>("a", of.rows * inner);
    const auto b = model.source<float>("b", of.columns * inner);
    const auto row = model.source<float>("row", inner);
    const auto entries = model.source<float>("entries", 60);
    const auto vector = model.source<float>("vector", of.vector);
    add_ordered(x, of);
    add("picked", gather(x, at));
    add_stencils(x, a, of);
    add("by_row", gemv(semiring_id::sum_product, a, row));
    const auto lever = model.source<float>("lever", of.lever);
    const auto tall = model.source<float>("tall", of.lever * of.levers);
    add("turned", gemv(semiring_id::sum_product, tall, lever));
    add("product", matmul(semiring_id::max_plus, a, b, inner));
    std::vector<std::uint32_t> offsets, columns;
    for (std::uint32_t i = 0; i <= 20; ++i) offsets.push_back(i * 3);
    for (std::uint32_t i = 0; i < 60; ++i) columns.push_back(i * 7 % 30);
    const auto matrix = sparse_matrix::from_csr(of.vector, offsets, columns);
    add("sparse", spmv(semiring_id::sum_product, matrix, entries, vector));
    const auto wide = add("wide", cast<double>(x));
    add("mixed", cast<double>(x * 2.0f) + wide);
    add("narrow", sum(cast<float>(wide * 0.25) - x));
    (void)model.derive_host<float>("judge", 1, {x}, [&fails](host_call& call) -> status {
      if (fails) return {status_code::operator_failed, subsystem::engine, "on command"};
      call.result<float>()[0] = call.operand<float>(0)[0];
      return {};
    });
  }

 private:
  array<float> add(const char* name, const definition<float>& made) {
    return floats.emplace_back(model.derive(name, made));
  }
  array<double> add(const char* name, const definition<double>& made) {
    return doubles.emplace_back(model.derive(name, made));
  }
  array<std::uint32_t> add(const char* name, const definition<std::uint32_t>& made) {
    return words.emplace_back(model.derive(name, made));
  }

  void add_ordered(const array<float>& x, const sizes& of) {
    const auto sums = add("sums", scan(semiring_id::sum_product, x));
    add("before", scan(semiring_id::max_plus, x * 2.0f, {.exclusive = true, .starts = of.starts}));
    add("behind", sums - x);
    add("counts", histogram(x, even_edges<float>(-20, 44, 30)));
    add("more_counts", histogram(x + 1.0f, even_edges<float>(-20, 44, 700), outside_bins::clamp));
    const auto order = add("order", sort_index(x));
    add("down", sort_index(cast<double>(x) * 0.5, sheaf::order::descending));
    add("first", top_k(x * 1.5f, 3));
    add("which", top_k_index(x, 2, sheaf::order::ascending));
    add("sorted", gather(x, order));
  }

  void add_stencils(const array<float>& x, const array<float>& a, const sizes& of) {
    const auto line = [&](const char* name, boundary edge) {
      add(name, stencil(semiring_id::sum_product, x, {{-40, 0.5f}, {0, 1.0f}, {33, 0.25f}},
                        {.edge = edge, .outside = 3.0f}));
    };
    line("clamped", boundary::clamp);
    line("wrapped", boundary::wrap);
    line("outside", boundary::constant);
    line("skipped", boundary::skip);
    for (const boundary edge : {boundary::clamp, boundary::wrap, boundary::skip}) {
      const std::string name = "grid" + std::to_string(static_cast<int>(edge));
      add(name.c_str(), stencil(semiring_id::max_plus, a, grid{.rows = of.rows, .columns = inner},
                                {{-2, 0, 1.0f}, {0, -1, 2.0f}, {3, 1, 4.0f}}, {.edge = edge}));
    }
  }
};

class program {
 public:
  program(std::uint64_t seed, readers mode) : random_(seed), mode_(mode) {}

  void run() {
    everything first(now_, fails_);
    engine_.emplace(opened(first.model, {.mode = mode_}));
    for (const char* name : {"x", "a", "b", "row", "lever", "tall", "entries", "vector"}) {
      floats_[name].resize(engine_->find<float>(name)->size());
    }
    indices_.resize(now_.indices);
    for (int step = 0; step < 12 && !testing::Test::HasFatalFailure(); ++step) {
      SCOPED_TRACE(testing::Message() << "step " << step);
      take_step();
    }
    for (const held& one : held_) EXPECT_EQ(image_of(one.now, one.of), one.image);
  }

 private:
  struct held {
    snapshot now;
    everything of;
    std::vector<std::byte> image;
  };
  using source_values = std::map<std::string, std::vector<float>>;

  template <class State>
  static std::vector<std::byte> image_of(const State& now, const everything& of) {
    std::vector<std::byte> image;
    const auto add = [&](const auto& arrays) {
      for (const auto& one : arrays) {
        const auto part = engine_test::image_of(now, one);
        image.insert(image.end(), part.begin(), part.end());
      }
    };
    add(of.floats), add(of.doubles), add(of.words);
    return image;
  }

  std::uint64_t other_length(std::uint64_t before, std::uint64_t low, std::uint64_t high) {
    if (random_.chance(40)) return std::min(high, before + random_.between(1, 40));
    return random_.between(low, high);
  }

  void resize(transaction& txn) {
    const auto to = [&](const char* name, std::uint64_t length) {
      txn.resize(engine_->find<float>(name).value(), length);
      floats_[name].resize(length);
    };
    if (random_.chance(60)) {
      now_.run = other_length(now_.run, 3, 3000);
      std::erase_if(now_.starts, [&](std::uint32_t start) { return start >= now_.run; });
      to("x", now_.run);
    }
    if (random_.chance(30)) {
      now_.indices = other_length(now_.indices, 1, 500);
      txn.resize(engine_->find<std::uint32_t>("at").value(), now_.indices);
      indices_.resize(now_.indices);
    }
    if (random_.chance(40)) to("a", inner * (now_.rows = other_length(now_.rows, 1, 90)));
    if (random_.chance(30)) to("b", inner * (now_.columns = other_length(now_.columns, 1, 40)));
    if (random_.chance(40)) {
      if (random_.chance(50)) now_.levers = other_length(now_.levers, 1, 60);
      else to("lever", now_.lever = other_length(now_.lever, 1, 100));
      to("tall", now_.lever * now_.levers);
    }
    if (random_.chance(30)) to("vector", now_.vector = other_length(now_.vector, 30, 200));
  }

  /// A handle of the length the array has in this transaction.
  template <class T>
  array<T> at(const char* name, std::uint64_t length) {
    auto handle = engine_->find<T>(name)->handle();
    handle.size = length;
    return array<T>(handle);
  }

  void write(transaction& txn) {
    for (auto& [name, values] : floats_) {
      if (random_.chance(40)) continue;
      const std::uint64_t first = random_.chance(30) ? 0 : random_.below(values.size());
      const std::uint64_t most = first == 0 ? values.size() : 5;
      const std::uint64_t count = std::min<std::uint64_t>(most, values.size() - first);
      for (std::uint64_t i = first; i < first + count; ++i) {
        values[i] = static_cast<float>(random_.below(64)) - 20;
      }
      txn.range(at<float>(name.c_str(), values.size()), {first},
                std::span(values).subspan(first, count));
    }
    const std::uint64_t index = random_.below(indices_.size());
    indices_[index] = static_cast<std::uint32_t>(random_.below(now_.run + 5));
    txn.set(at<std::uint32_t>("at", indices_.size()), {index}, indices_[index]);
  }

  void take_step() {
    if (random_.chance(25)) {
      everything of = handles();
      std::vector<std::byte> image = image_of(engine_->snapshot(), of);
      held_.push_back({engine_->snapshot(), std::move(of), std::move(image)});
    }
    const sizes sizes_before = now_;
    const source_values floats_before = floats_;
    const auto indices_before = indices_;
    auto txn = engine_->begin();
    if (random_.chance(70)) resize(txn);
    write(txn);
    fails_ = random_.chance(20);
    const auto done = std::move(txn).commit();
    if (!done) {
      ASSERT_TRUE(fails_) << done.error().message();
      ASSERT_EQ(done.error().code(), status_code::operator_failed) << done.error().message();
      now_ = sizes_before;
      floats_ = floats_before;
      indices_ = indices_before;
    }
    fails_ = false;
    check();
  }

  /// The engine's own handles.
  everything handles() {
    everything of(now_, fails_);
    const auto turn = [&]<class T>(std::vector<array<T>>& arrays) {
      for (array<T>& one : arrays) {
        const auto name = of.model.data()->name_of(one.id());
        const auto found = engine_->find<T>(name);
        ASSERT_TRUE(found) << name;
        ASSERT_EQ(found->size(), one.size()) << name;
        one = *found;
      }
    };
    turn(of.floats), turn(of.doubles), turn(of.words);
    return of;
  }

  void check() {
    everything fresh(now_, fails_);
    engine scratch = opened(fresh.model);
    auto txn = scratch.begin();
    for (const auto& [name, values] : floats_) {
      txn.range(scratch.find<float>(name).value(), {}, values);
    }
    txn.range(scratch.find<std::uint32_t>("at").value(), {}, indices_);
    committed(std::move(txn));
    const everything own = handles();
    if (testing::Test::HasFatalFailure()) return;
    const auto compare = [&](const auto& mine, const auto& theirs) {
      for (std::size_t i = 0; i < mine.size(); ++i) {
        ASSERT_EQ(engine_test::image_of(*engine_, mine[i]),
                  engine_test::image_of(scratch, theirs[i]))
            << fresh.model.data()->name_of(theirs[i].id());
      }
    };
    compare(own.floats, fresh.floats);
    compare(own.doubles, fresh.doubles);
    compare(own.words, fresh.words);
    ASSERT_NO_FATAL_FAILURE(expect_glued(*engine_));
  }

  dice random_;
  readers mode_;
  sizes now_;
  bool fails_ = false;
  source_values floats_;
  std::vector<std::uint32_t> indices_;
  std::optional<engine> engine_;
  std::vector<held> held_;
};

TEST(Follow, EveryKindHasTheBitsOfAnEngineOpenedWithTheFinalLengths) {
  const char* said = std::getenv("SHEAF_SEED");
  const std::uint64_t first = said == nullptr ? 1 : std::strtoull(said, nullptr, 10);
  for (std::uint64_t seed = first; seed < first + (said == nullptr ? 40 : 1); ++seed) {
    SCOPED_TRACE(testing::Message() << "SHEAF_SEED=" << seed);
    program(seed, both_modes[seed % 2]).run();
    if (testing::Test::HasFailure()) return;
  }
}

template <class Edit>
result<epoch> changed(engine& in, Edit&& edit) {
  auto txn = in.begin();
  edit(txn);
  return std::move(txn).commit();
}

TEST(FollowCost, WhatOnlyGrowsIsComputedAtItsEndAlone) {
  model m;
  const auto x = m.source<float>("x", 100'000);
  const auto a = m.source<float>("a", 1000 * inner);
  const auto v = m.source<float>("v", inner);
  const auto wide = m.derive("wide", cast<double>(x));
  const auto near = m.derive("near", stencil(semiring_id::sum_product, x, {{-1, 1.0f}, {1, 1.0f}}));
  const auto by_row = m.derive("by_row", gemv(semiring_id::sum_product, a, v));
  engine e = opened(m);
  set_all(e, x, 1.0f);
  set_all(e, a, 1.0f);
  set_all(e, v, 1.0f);
  ASSERT_TRUE(changed(e, [&](transaction& txn) {
    txn.append(x, std::vector<float>{3, 4});
    txn.append(a, std::vector<float>(inner, 2.0f));
  }));
  EXPECT_LE(e.last_commit().lines_recomputed, 9u);
  EXPECT_EQ(e.find<float>("by_row")->size(), 1001u);
  expect_glued(e);
  (void)wide, (void)near, (void)by_row;
}

TEST(FollowRefused, WhatDoesNotFitNamesTheArrayAndItsReaderAndChangesNothing) {
  model m;
  const auto x = m.source<float>("x", 100);
  const auto a = m.source<float>("a", 7 * inner);
  const auto row = m.source<float>("row", inner);
  const auto entries = m.source<float>("entries", 4);
  const auto vector = m.source<float>("vector", 10);
  const auto matrix = sparse_matrix::from_csr(10, {0, 2, 4}, {0, 9, 3, 4});
  m.derive("first", top_k(x * 2.0f, 50));
  m.derive("grid", stencil(semiring_id::max_plus, a, grid{.rows = 7, .columns = inner},
                           {{1, 0, 1.0f}}));
  const auto by_row = m.derive("by_row", gemv(semiring_id::sum_product, a, row));
  m.derive("square", matmul(semiring_id::sum_product, row, row, 6));
  const auto sparse = m.derive("sparse", spmv(semiring_id::sum_product, matrix, entries, vector));
  engine e = opened(m);
  set_all(e, x, 1.0f);
  set_all(e, a, 2.0f);
  const auto image = image_of(e, x, a, row, by_row, sparse);
  const auto refuse = [&](const array<float>& target, std::uint64_t length, status_code code,
                          std::initializer_list<std::string_view> words) {
    const auto epoch_before = e.epoch();
    expect_status(changed(e, [&](transaction& txn) { txn.resize(target, length); }), code, words);
    EXPECT_EQ(e.epoch(), epoch_before);
    EXPECT_EQ(image_of(e, x, a, row, by_row, sparse), image);
  };
  refuse(x, 49, status_code::out_of_range, {"50 of 'x', which has 49", "'first'"});
  refuse(a, 7 * inner + 1, status_code::length_mismatch, {"'a' has 169", "'grid'"});
  refuse(row, 5, status_code::length_mismatch, {"'a' has 168", "of 5", "'by_row'"});
  refuse(entries, 5, status_code::length_mismatch, {"'entries' has 5", "'sparse'"});
  refuse(vector, 9, status_code::out_of_range, {"'vector' has 9", "'sparse'", "10 columns"});
  const auto mended = changed(e, [&](transaction& txn) {
    const auto longer = txn.resize(entries, 5);
    const auto shorter = txn.resize(vector, 9);
    const auto other = sparse_matrix::from_csr(9, {0, 2, 5}, {0, 8, 3, 4, 5});
    txn.graph().redefine(sparse, spmv(semiring_id::sum_product, other, longer, shorter));
  });
  EXPECT_TRUE(mended) << mended.error().message();
  expect_glued(e);
}

/// A ring of `vertices` with edge lengths 1, 2, 3, ...; the distance from vertex 0.
struct ring {
  static constexpr auto stride = fixpoint_stride<float>(1);
  sheaf::model model;
  array<float> start, length, distance;
  array<std::uint32_t> from, to;

  explicit ring(std::uint32_t vertices) {
    start = model.source<float>("start", vertices * stride);
    from = model.source<std::uint32_t>("from", vertices);
    to = model.source<std::uint32_t>("to", vertices);
    length = model.source<float>("length", vertices);
    distance = model.derive("distance", fixpoint(semiring_id::min_plus, start, from, to, length));
    model.derive("far", maximum_of(distance));
  }
  template <class F, class W>
  static void write(transaction& txn, std::uint32_t vertices, const F& start, const W& from,
                    const W& to, const F& length) {
    std::vector<float> begin(vertices * stride, std::numeric_limits<float>::infinity());
    begin[0] = 0;
    txn.range(start, {}, begin);
    for (std::uint32_t i = 0; i < vertices; ++i) {
      txn.set(from, {i}, i);
      txn.set(to, {i}, (i + 1) % vertices);
      txn.set(length, {i}, static_cast<float>(i + 1));
    }
  }
};

TEST(Follow, AFixpointTakesMoreAndFewerVerticesAndEdges) {
  ring first(20);
  engine e = opened(first.model);
  ASSERT_TRUE(changed(e, [&](transaction& txn) {
    ring::write(txn, 20, first.start, first.from, first.to, first.length);
  }));
  const snapshot then = e.snapshot();
  const auto image = image_of(then, first.distance);
  for (const std::uint32_t vertices : {21u, 300u, 5u, 64u}) {
    ASSERT_TRUE(changed(e, [&](transaction& txn) {
      const auto start = txn.resize(e.find<float>("start").value(), vertices * ring::stride);
      const auto from = txn.resize(e.find<std::uint32_t>("from").value(), vertices);
      const auto to = txn.resize(e.find<std::uint32_t>("to").value(), vertices);
      const auto length = txn.resize(e.find<float>("length").value(), vertices);
      ring::write(txn, vertices, start, from, to, length);
    }));
    ring fresh(vertices);
    engine scratch = opened(fresh.model);
    ASSERT_TRUE(changed(scratch, [&](transaction& txn) {
      ring::write(txn, vertices, fresh.start, fresh.from, fresh.to, fresh.length);
    }));
    for (int step = 0; step < 3; ++step) {
      EXPECT_EQ(image_of(e, e.find<float>("distance").value()),
                image_of(scratch, fresh.distance));
      expect_glued(e);
      for (engine* one : {&e, &scratch}) {
        set_one(*one, one->find<float>("length").value(), (step * 7u) % vertices, 0.5f);
      }
    }
  }
  EXPECT_EQ(image_of(then, first.distance), image);
}

TEST(FollowRefused, AFixpointWithoutAWholeNumberOfRowsAndAGroup) {
  ring one(20);
  engine e = opened(one.model);
  expect_status(changed(e, [&](transaction& txn) { txn.resize(one.start, 7); }),
                status_code::length_mismatch, {"'start' has 7", "'distance'"});
  expect_status(changed(e, [&](transaction& txn) { txn.resize(one.to, 7); }),
                status_code::length_mismatch, {"'from' has 20", "'to' has 7", "'distance'"});
  model m;
  const auto x = m.source<float>("x", 16);
  const auto a = m.declare<float>("a", 16);
  const auto b = m.declare<float>("b", 16);
  m.fixpoint<float>(semiring_id::min_plus, {{a, {term(x, 1.0f), term(b, 1.0f)}},
                                            {b, {term(a, 1.0f)}}});
  engine group = opened(m);
  expect_status(changed(group, [&](transaction& txn) { txn.resize(x, 17); }),
                status_code::unsupported, {"'a', which reads 'x' of 17"});
  expect_glued(group);
}

TEST(Follow, ADelayGoesThroughEveryKind) {
  model m;
  const auto x = m.source<float>("x", 100);
  const auto state = m.declare<float>("state", 100);
  const auto before = m.derive("before", delay(state, 2.0f));
  const auto near = m.derive("near", stencil(semiring_id::max_plus, before, {{1, 0.0f}}));
  const auto running = m.derive("running", scan(semiring_id::max_plus, near));
  const auto wide = m.derive("wide", cast<double>(running));
  const auto order = m.derive("order", sort_index(wide));
  const auto turned = m.derive("turned", gather(x, order));
  m.define(state, turned + x);
  const auto older = m.derive("older", delay(order));
  engine e = opened(m);
  set_all(e, x, 1.0f);
  ASSERT_TRUE(changed(e, [&](transaction& txn) {
    const auto longer = txn.resize(x, 130);
    txn.set(longer, {129}, 5.0f);
  }));
  for (const char* name : {"state", "before", "running"}) {
    EXPECT_EQ(e.find<float>(name)->size(), 130u) << name;
  }
  EXPECT_EQ(e.find<std::uint32_t>("older")->size(), 130u);
  EXPECT_EQ(values_of(e.snapshot(), e.find<float>("before").value())[129], 2.0f);
  EXPECT_EQ(values_of(e.snapshot(), e.find<float>("state").value())[129], 10.0f);
  committed(e.begin());
  EXPECT_EQ(values_of(e.snapshot(), e.find<float>("before").value())[129], 10.0f);
  expect_glued(e);
  (void)older;
}

TEST(Follow, ADroppedExpressionLeavesNothingThatReadsItsOperands) {
  model m;
  const auto x = m.source<float>("x", 50);
  const auto y = m.source<double>("y", 50);
  const auto total = m.derive("total", sum(cast<float>(y * 2.0) + x));
  engine e = opened(m);
  ASSERT_TRUE(changed(e, [&](transaction& txn) {
    txn.graph().drop(total);
    txn.graph().drop(y);
  }));
  ASSERT_TRUE(changed(e, [&](transaction& txn) {
    const auto z = txn.graph().source<double>("z", 50);
    txn.graph().derive("again", sum(cast<float>(z * 2.0) + x));
  }));
  expect_glued(e);
}

}  // namespace
}  // namespace engine_test
