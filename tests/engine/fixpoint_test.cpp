/// \file
/// `fixpoint` in an engine: after every commit the bits of a plain solver, whatever was added,
/// taken away or changed; failures that change nothing; work that stays where the change is.
#include <bit>
#include <cstdlib>

#include "engine/fixpoint_reference.hpp"
#include "engine/support.hpp"
#include "model/dice.hpp"

namespace engine_test {
namespace {

using model_test::dice;

std::uint64_t seed_of(std::uint64_t usual) {
  const char* given = std::getenv("SHEAF_SEED");
  return given == nullptr ? usual : std::strtoull(given, nullptr, 10);
}

/// Values on which the semiring has a least fixpoint without cycles that improve for ever; few, so
/// that equal contributions meet and cycles of neutral weight occur.
template <class S, element T>
T value_for(dice& any) {
  if constexpr (S::id == semiring_id::or_and || S::id == semiring_id::and_or) {
    const T bits = static_cast<T>(any.word() & any.word());
    return S::id == semiring_id::or_and ? bits : static_cast<T>(~bits);
  } else if constexpr (S::id == semiring_id::max_times) {
    return static_cast<T>(any.below(5)) / T{4};
  } else {
    if (any.chance(40)) return S::template zero<T>();
    return static_cast<T>(any.below(7));
  }
}
template <class S, element T>
T weight_for(dice& any) {
  if constexpr (S::id == semiring_id::or_and || S::id == semiring_id::and_or) {
    return static_cast<T>(any.word() | any.word());
  } else if constexpr (S::id == semiring_id::max_plus) {
    return std::is_signed_v<T> ? static_cast<T>(-static_cast<int>(any.below(3))) : T{0};
  } else {
    return value_for<S, T>(any);
  }
}

/// A weight that improves what goes along it, up to the type's bound in a few steps.
template <class S, element T>
T wild_weight() {
  if constexpr (S::id == semiring_id::min_plus) {
    return float_element<T> ? static_cast<T>(-2e38) : std::numeric_limits<T>::min() / 2 - 1;
  } else if constexpr (S::id == semiring_id::max_plus) {
    return std::numeric_limits<T>::max() / 2 + 1;
  } else {
    return static_cast<T>(1e30);
  }
}

/// An engine with one fixpoint, and the same input beside it.
template <class S, element T>
class twin {
 public:
  twin(dice& any, bool weighted, const engine_options& options = {}, bool wild = false)
      : any_(any), wild_(wild) {
    in_.vertices = static_cast<std::uint32_t>(any.between(1, 40));
    columns_ = any.chance(50) ? any.between(1, 8) : any.between(1, 5 * 64 / sizeof(T));
    if (any.chance(4)) columns_ = any.between(64, 70) * 64 / sizeof(T);
    in_.stride = fixpoint_stride<T>(columns_);
    in_.base.resize(in_.vertices * in_.stride, T{0});
    const std::uint64_t edges = any.between(1, in_.vertices * 3);
    in_.from.resize(edges, 0);
    in_.to.resize(edges, 0);
    if (weighted) in_.weight.resize(edges, T{0});
    base_ = declared_.source<T>("base", in_.base.size());
    from_ = declared_.source<std::uint32_t>("from", edges);
    to_ = declared_.source<std::uint32_t>("to", edges);
    const fixpoint_options shape{.columns = columns_, .iterations_max = wild ? 1000u : 0u};
    if (weighted) {
      weight_ = declared_.source<T>("weight", edges);
      rows_ = declared_.derive("rows", fixpoint(S::id, base_, from_, to_, weight_, shape));
    } else {
      rows_ = declared_.derive("rows", fixpoint(S::id, base_, from_, to_, shape));
    }
    after_ = declared_.derive("after", sum(rows_));
    desk_.emplace(opened(declared_, options));
  }

  void start() {
    auto txn = desk_->begin();
    for (std::uint64_t e = 0; e < in_.from.size(); ++e) {
      // A ring makes a large component; the rest is anything.
      const bool ring = e < in_.vertices && any_.chance(70);
      set_ends(txn, e, ring ? static_cast<std::uint32_t>(e) : vertex(),
               ring ? static_cast<std::uint32_t>((e + 1) % in_.vertices) : vertex());
      if (!in_.weight.empty()) set_weight(txn, e, weight());
    }
    for (std::uint64_t i = 0; i < in_.base.size(); ++i) set_base(txn, i, value_for<S, T>(any_));
    committed(std::move(txn));
  }

  void change() {
    auto txn = desk_->begin();
    for (std::uint64_t count = any_.chance(60) ? 1 : any_.between(2, 6); count > 0; --count) {
      const std::uint64_t e = any_.below(in_.from.size());
      switch (any_.below(in_.weight.empty() ? 4 : 5)) {
        case 0: set_ends(txn, e, vertex(), vertex()); break;
        case 1: set_ends(txn, e, no_vertex, in_.to[e]); break;
        case 2: set_ends(txn, e, in_.from[e], any_.chance(30) ? no_vertex : vertex()); break;
        case 3: set_base(txn, any_.below(in_.base.size()), value_for<S, T>(any_)); break;
        default: set_weight(txn, e, weight()); break;
      }
    }
    committed(std::move(txn));
  }

  void expect_solved(const std::string& where) {
    const auto wanted = solve_plainly<S>(in_);
    ASSERT_TRUE(wanted) << where;
    const std::vector<T> found = values_of(desk_->snapshot(), rows_);
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(to_bits(found[i]), to_bits((*wanted)[i]))
          << where << ": vertex " << i / in_.stride << " column " << i % in_.stride;
    }
  }
  /// A commit that fails in the fixpoint, or after it has changed.
  void fail() {
    const auto before = image_of(*desk_, base_, from_, to_, rows_, after_);
    auto txn = desk_->begin();
    txn.set(base_, {.index = any_.below(in_.base.size())}, value_for<S, T>(any_));
    const std::uint64_t e = any_.below(in_.from.size());
    txn.set(from_, {.index = e}, in_.vertices);
    txn.set(to_, {.index = e}, 0u);
    if (!in_.weight.empty()) txn.set(weight_, {.index = e}, S::template one<T>());
    expect_status(std::move(txn).commit(), status_code::operator_failed,
                  {"edge " + std::to_string(e), "'rows'", "ends at no vertex"});
    EXPECT_EQ(image_of(*desk_, base_, from_, to_, rows_, after_), before);
  }
  engine& desk() { return *desk_; }
  const array<T>& rows() const { return rows_; }

 private:
  T weight() {
    if constexpr (S::id == semiring_id::min_plus || S::id == semiring_id::max_plus ||
                  S::id == semiring_id::max_times) {
      if (wild_ && any_.chance(12)) return wild_weight<S, T>();
    }
    return weight_for<S, T>(any_);
  }
  std::uint32_t vertex() { return static_cast<std::uint32_t>(any_.below(in_.vertices)); }
  void set_ends(transaction& txn, std::uint64_t e, std::uint32_t from, std::uint32_t to) {
    txn.set(from_, {.index = e}, in_.from[e] = from);
    txn.set(to_, {.index = e}, in_.to[e] = to);
  }
  void set_weight(transaction& txn, std::uint64_t e, T value) {
    txn.set(weight_, {.index = e}, in_.weight[e] = value);
  }
  void set_base(transaction& txn, std::uint64_t i, T value) {
    txn.set(base_, {.index = i}, in_.base[i] = value);
  }

  dice& any_;
  bool wild_;
  fixpoint_input<T> in_;
  std::uint64_t columns_ = 0;
  model declared_;
  array<T> base_, weight_, rows_, after_;
  array<std::uint32_t> from_, to_;
  std::optional<engine> desk_;
};

template <class S, class T>
struct over {
  using semiring = S;
  using type = T;
};
template <class Over>
class Fixpoint : public testing::Test {};
using every_kind =
    testing::Types<over<or_and, std::uint64_t>, over<or_and, std::uint8_t>,
                   over<or_and, std::int32_t>, over<and_or, std::uint32_t>,
                   over<min_plus, float>, over<min_plus, std::int64_t>,
                   over<min_plus, std::uint32_t>, over<max_plus, double>,
                   over<max_plus, std::int32_t>, over<max_plus, std::uint8_t>,
                   over<max_min, float>, over<max_min, std::uint64_t>, over<max_times, float>,
                   over<max_times, double>>;
TYPED_TEST_SUITE(Fixpoint, every_kind);

TYPED_TEST(Fixpoint, HasTheBitsOfAPlainSolverAfterEveryCommit) {
  using S = typename TypeParam::semiring;
  using T = typename TypeParam::type;
  const std::uint64_t seed = seed_of(20'261);
  for (std::uint64_t system = 0; system < 24; ++system) {
    dice any(seed + system);
    twin<S, T> t(any, any.chance(70),
                 {.mode = any.chance(50) ? readers::wait_free : readers::brief_wait});
    t.start();
    t.expect_solved("seed " + std::to_string(seed + system) + " at the start");
    snapshot held;
    for (int commit = 0; commit < 40; ++commit) {
      if (any.chance(20)) held = t.desk().snapshot();
      if (any.chance(8)) t.fail();
      if (testing::Test::HasFatalFailure()) return;
      t.change();
      t.expect_solved("seed " + std::to_string(seed + system) + " commit " +
                      std::to_string(commit));
      if (testing::Test::HasFatalFailure()) return;
    }
    expect_glued(t.desk());
  }
}

template <class Over>
class WildFixpoint : public testing::Test {};
using wild_kinds = testing::Types<over<min_plus, float>, over<min_plus, std::int32_t>,
                                  over<max_plus, std::int64_t>, over<max_plus, std::uint8_t>,
                                  over<max_times, float>>;
TYPED_TEST_SUITE(WildFixpoint, wild_kinds);

/// Values that a cycle has raised to the bound of their type equal nothing they came from.
TYPED_TEST(WildFixpoint, ForgetsWhatACycleHadRaised) {
  using S = typename TypeParam::semiring;
  using T = typename TypeParam::type;
  const std::uint64_t seed = seed_of(31'415);
  for (std::uint64_t system = 0; system < 24; ++system) {
    dice any(seed + system);
    twin<S, T> t(any, true, {}, true);
    t.start();
    for (int commit = 0; commit < 40; ++commit) {
      t.change();
      t.expect_solved("seed " + std::to_string(seed + system) + " commit " +
                      std::to_string(commit));
      if (testing::Test::HasFatalFailure()) return;
    }
    expect_glued(t.desk());
  }
}

/// A path 0 -> 1 -> ... and a ring over its first `ring` vertices; one column a bit.
struct reach {
  explicit reach(std::uint32_t vertices, std::uint32_t ring, evaluation when = evaluation::eager) {
    edges = vertices + 8;
    base = declared.source<std::uint64_t>("base", vertices * stride);
    from = declared.source<std::uint32_t>("from", edges);
    to = declared.source<std::uint32_t>("to", edges);
    rows = declared.derive("rows", fixpoint(semiring_id::or_and, base, from, to), {.when = when});
    desk.emplace(opened(declared));
    auto txn = desk->begin();
    for (std::uint32_t e = 0; e < edges; ++e) {
      const bool is_path = e + 1 < vertices;
      txn.set(from, {.index = e}, is_path ? e : e == vertices ? ring - 1 : no_vertex);
      txn.set(to, {.index = e}, is_path ? e + 1 : e == vertices ? 0 : no_vertex);
    }
    for (std::uint32_t v = 0; v < vertices; ++v) {
      txn.set(base, {.index = v * stride}, std::uint64_t{1} << (v % 64));
    }
    committed(std::move(txn));
  }
  static constexpr std::uint64_t stride = fixpoint_stride<std::uint64_t>(1);
  std::uint32_t edges;
  model declared;
  array<std::uint64_t> base, rows;
  array<std::uint32_t> from, to;
  std::optional<engine> desk;
};

TEST(FixpointWork, IsThatOfTheRowsTheChangeReaches) {
  reach r(2000, 1);
  // A new edge at the far end: one row below it.
  auto txn = r.desk->begin();
  txn.set(r.from, {.index = 2000}, 0u);
  txn.set(r.to, {.index = 2000}, 1999u);
  committed(std::move(txn));
  EXPECT_LE(r.desk->last_commit().lines_relaxed, 3u);
  EXPECT_LE(r.desk->last_commit().lines_recomputed, 1u);
  // An edge in the middle of the end of the path: the rows behind it.
  txn = r.desk->begin();
  txn.set(r.from, {.index = 1989}, no_vertex);
  committed(std::move(txn));
  EXPECT_LE(r.desk->last_commit().lines_relaxed, 60u);
  EXPECT_LE(r.desk->last_commit().lines_recomputed, 10u);
  EXPECT_GE(r.desk->last_commit().lines_recomputed, 1u);
  expect_glued(*r.desk);
}

TEST(FixpointWork, OfARetractionThatSomethingElseSupportsStaysInsideItsComponent) {
  reach r(1000, 10);
  auto txn = r.desk->begin();  // a second edge closes the same ring
  txn.set(r.from, {.index = 1001}, 9u);
  txn.set(r.to, {.index = 1001}, 0u);
  committed(std::move(txn));
  txn = r.desk->begin();
  txn.set(r.from, {.index = 1000}, no_vertex);
  committed(std::move(txn));
  EXPECT_EQ(r.desk->last_commit().lines_recomputed, 0u) << "nothing changed in the end";
  EXPECT_LE(r.desk->last_commit().lines_relaxed, 150u);
  expect_glued(*r.desk);
}

TEST(FixpointRetraction, EmptiesARingThatOnlySupportsItself) {
  reach r(10, 10);
  auto txn = r.desk->begin();
  txn.set(r.base, {.index = 3 * reach::stride}, std::uint64_t{1} << 40);
  committed(std::move(txn));
  EXPECT_EQ(*r.desk->snapshot().get(r.rows, 2 * reach::stride), (0x3f7u | std::uint64_t{1} << 40));
  txn = r.desk->begin();
  txn.set(r.base, {.index = 3 * reach::stride}, std::uint64_t{0});
  committed(std::move(txn));
  for (std::uint64_t v = 0; v < 10; ++v) {
    EXPECT_EQ(*r.desk->snapshot().get(r.rows, v * reach::stride), 0x3f7u) << v;
  }
}

TEST(FixpointLazy, IsSolvedWhenItIsRead) {
  reach r(100, 50, evaluation::lazy);
  EXPECT_EQ(r.desk->last_commit().lines_relaxed, 0u);
  const snapshot old = r.desk->snapshot();
  auto txn = r.desk->begin();
  txn.set(r.from, {.index = 100}, no_vertex);
  committed(std::move(txn));
  EXPECT_EQ(*old.get(r.rows, 0), (std::uint64_t{1} << 50) - 1);
  EXPECT_EQ(*r.desk->snapshot().get(r.rows, 0), 1u);
}

/// Two vertices in a ring of weight `round` and one behind.
struct distances {
  explicit distances(std::uint32_t iterations_max = 0, std::uint64_t root = 0) {
    base = declared.source<std::int32_t>("base", 3 * stride);
    from = declared.source<std::uint32_t>("from", 8);
    to = declared.source<std::uint32_t>("to", 8);
    weight = declared.source<std::int32_t>("weight", 8);
    rows = declared.derive("rows", fixpoint(semiring_id::min_plus, base, from, to, weight,
                                            {.columns = 1, .iterations_max = iterations_max}));
    desk.emplace(opened(declared));
    auto txn = desk->begin();
    txn.range(from, {}, std::vector<std::uint32_t>{0, 1, 1, no_vertex, no_vertex, no_vertex,
                                                   no_vertex, no_vertex});
    txn.range(to, {}, std::vector<std::uint32_t>{1, 0, 2, 0, 0, 0, 0, 0});
    txn.range(weight, {}, std::vector<std::int32_t>{4, 3, 2, 0, 0, 0, 0, 0});
    for (std::uint64_t i = 0; i < base.size(); ++i) {
      constexpr std::int32_t unreached = std::numeric_limits<std::int32_t>::max();
      txn.set(base, {.index = i}, i == root * stride ? 10 : unreached);
    }
    start = std::move(txn).commit();
  }
  static constexpr std::uint64_t stride = fixpoint_stride<std::int32_t>(1);
  model declared;
  array<std::int32_t> base, weight, rows;
  array<std::uint32_t> from, to;
  std::optional<engine> desk;
  result<epoch> start = epoch{};
};

TEST(FixpointBound, ACycleThatGoesOnImprovingIsATypedErrorAndChangesNothing) {
  distances d;
  ASSERT_TRUE(d.start);
  EXPECT_EQ(*d.desk->snapshot().get(d.rows, 2 * distances::stride), 16);
  const auto before = image_of(*d.desk, d.weight, d.rows);
  for (int again = 0; again < 2; ++again) {
    auto txn = d.desk->begin();
    txn.set(d.weight, {.index = 1}, -5);
    expect_status(std::move(txn).commit(), status_code::not_converged,
                  {"'rows'", "vertex", "rounds"});
    EXPECT_EQ(image_of(*d.desk, d.weight, d.rows), before);
  }
  set_one(*d.desk, d.weight, 1, -4);  // a cycle of weight 0
  set_one(*d.desk, d.weight, 2, 7);
  EXPECT_EQ(*d.desk->snapshot().get(d.rows, 2 * distances::stride), 21);
  set_one(*d.desk, d.base, 0, 20);
  EXPECT_EQ(*d.desk->snapshot().get(d.rows, 2 * distances::stride), 31);
  expect_glued(*d.desk);
}

TEST(FixpointBound, IsTheOneThatWasAskedFor) {
  // One round goes once along the order, so it is enough from one of the two vertices of the ring.
  const auto grow_from = [](std::uint64_t root, std::uint32_t iterations_max) {
    distances d(iterations_max, 3);  // nothing is reached yet
    EXPECT_TRUE(d.start);
    auto txn = d.desk->begin();
    txn.set(d.base, {.index = root * distances::stride}, 10);
    const auto done = std::move(txn).commit();
    return done ? status() : done.error();
  };
  const status first = grow_from(0, 1), second = grow_from(1, 1);
  ASSERT_NE(first.is_ok(), second.is_ok());
  expect_status(first.is_ok() ? second : first, status_code::not_converged,
                {"'rows'", "after 2 rounds"});
  EXPECT_TRUE(grow_from(0, 2).is_ok());
  EXPECT_TRUE(grow_from(1, 2).is_ok());
}

TEST(FixpointMistakes, AreNamed) {
  model declared;
  const auto base = declared.source<float>("base", 64);
  const auto odd = declared.source<float>("odd", 65);
  const auto from = declared.source<std::uint32_t>("from", 5);
  const auto to = declared.source<std::uint32_t>("to", 6);
  const auto end = declared.source<std::uint32_t>("end", 5);
  const auto other = declared.source<std::uint32_t>("other", 64);
  (void)declared.derive("a", fixpoint(semiring_id::sum_product, base, from, end));
  (void)declared.derive("b", fixpoint(semiring_id::min_plus, odd, from, end));
  (void)declared.derive("c", fixpoint(semiring_id::min_plus, base, from, to));
  (void)declared.derive("d", fixpoint(semiring_id::max_times, other, from, end));
  (void)declared.derive("e", fixpoint(semiring_id::min_plus, base, from, end, {.columns = 0}));
  const std::vector<status> found = declared.mistakes();
  ASSERT_EQ(found.size(), 5u);
  expect_status(found[0], status_code::type_mismatch, {"idempotent", "sum_product on f32", "'a'"});
  expect_status(found[1], status_code::length_mismatch, {"'odd' has 65", "'b'"});
  expect_status(found[2], status_code::length_mismatch, {"'from' has 5", "'to' has 6", "'c'"});
  expect_status(found[3], status_code::type_mismatch, {"max_times on u32", "'d'"});
  expect_status(found[4], status_code::length_mismatch, {"0 columns", "'e'"});
}

TEST(FixpointMistakes, AWeightThatIsNotMonotoneIsRefused) {
  model declared;
  const auto base = declared.source<float>("base", 32);
  const auto from = declared.source<std::uint32_t>("from", 2);
  const auto to = declared.source<std::uint32_t>("to", 2);
  const auto weight = declared.source<float>("weight", 2);
  const auto likely =
      declared.derive("likely", fixpoint(semiring_id::max_times, base, from, to, weight));
  auto desk = opened(declared);
  set_one(desk, weight, 1, 0.5f);
  auto txn = desk.begin();
  txn.set(weight, {.index = 1}, -0.5f);
  expect_status(std::move(txn).commit(), status_code::operator_failed,
                {"edge 1 of 'likely'", "max_times", "weight"});
  set_one(desk, from, 1, no_vertex);
  set_one(desk, weight, 1, -0.5f);  // of no edge
  EXPECT_EQ(*desk.snapshot().get(likely), 0.0f);
}

/// An engine with one group, whose definitions read outside arrays, members and themselves, and the
/// same system beside it.
template <class S, element T>
class group_twin {
 public:
  explicit group_twin(dice& any) : any_(any), length_(any.between(1, 300)) {
    const auto count = static_cast<std::uint32_t>(any.between(1, 8));
    for (std::uint64_t i = any.between(1, 3); i > 0; --i) {
      outside_.push_back(
          declared_.source<T>("o" + std::to_string(i), any.chance(20) ? 1 : length_));
    }
    for (std::uint32_t v = 0; v < count; ++v) {
      members_.push_back(declared_.declare<T>("m" + std::to_string(v), length_));
    }
    (void)declared_.derive("reader", combine(S::id, members_));
    in_.vertices = count;
    in_.stride = length_;
    std::vector<fixpoint_member<T>> definitions;
    for (std::uint32_t v = 0; v < count; ++v) {
      const std::vector<fixpoint_term<T>> terms = terms_of(v);
      definitions.emplace_back(members_[v], std::span<const fixpoint_term<T>>(terms));
    }
    declared_.fixpoint(S::id, std::span<const fixpoint_member<T>>(definitions));
    desk_.emplace(opened(declared_));
  }

  void change(int writes) {
    auto txn = desk_->begin();
    for (const array<T>& from : outside_) {
      for (int i = 0; i < writes; ++i) {
        txn.set(from, {.index = any_.below(from.size())}, value_for<S, T>(any_));
      }
    }
    committed(std::move(txn));
  }
  void expect_solved(const std::string& where) {
    const snapshot now = desk_->snapshot();
    in_.base.assign(in_.vertices * length_, S::template zero<T>());
    for (const outside_term& one : comes_in_) {
      const std::vector<T> values = values_of(now, one.from);
      for (std::uint64_t i = 0; i < length_; ++i) {
        T& into = in_.base[one.vertex * length_ + i];
        into = S::plus(into, S::times(values[values.size() == 1 ? 0 : i], one.weight));
      }
    }
    const auto wanted = solve_plainly<S>(in_);
    ASSERT_TRUE(wanted) << where;
    for (std::uint32_t v = 0; v < in_.vertices; ++v) {
      const std::vector<T> found = values_of(now, members_[v]);
      for (std::uint64_t i = 0; i < length_; ++i) {
        ASSERT_EQ(to_bits(found[i]), to_bits((*wanted)[v * length_ + i]))
            << where << " member " << v << " element " << i;
      }
    }
  }
  engine& desk() { return *desk_; }

 private:
  struct outside_term {
    std::uint32_t vertex;
    array<T> from;
    T weight;
  };

  /// At least one of the whole group comes from outside.
  std::vector<fixpoint_term<T>> terms_of(std::uint32_t vertex) {
    std::vector<fixpoint_term<T>> terms;
    for (std::uint64_t i = any_.between(1, 5); i > 0; --i) {
      const bool weighted = any_.chance(50);
      const T weight = weighted ? weight_for<S, T>(any_) : S::template one<T>();
      const bool inside = !comes_in_.empty() && any_.chance(60);
      const auto from = static_cast<std::uint32_t>(any_.below(in_.vertices));
      const array<T> value = inside ? members_[from] : any_.pick(outside_);
      if (weighted) terms.push_back(term<T>(value, weight));
      else terms.push_back(value);
      if (!inside) {
        comes_in_.push_back({vertex, value, weight});
        continue;
      }
      in_.from.push_back(from);
      in_.to.push_back(vertex);
      in_.weight.push_back(weight);
    }
    return terms;
  }

  dice& any_;
  std::uint64_t length_;
  model declared_;
  std::vector<array<T>> outside_, members_;
  std::vector<outside_term> comes_in_;
  fixpoint_input<T> in_;
  std::optional<engine> desk_;
};

TYPED_TEST(Fixpoint, OfAGroupHasTheBitsOfAPlainSolver) {
  const std::uint64_t seed = seed_of(5'150);
  for (std::uint64_t system = 0; system < 20; ++system) {
    dice any(seed + system);
    group_twin<typename TypeParam::semiring, typename TypeParam::type> t(any);
    for (int commit = 0; commit < 12; ++commit) {
      t.change(commit == 0 ? 200 : 2);
      t.expect_solved("seed " + std::to_string(seed + system) + " commit " +
                      std::to_string(commit));
      if (testing::Test::HasFatalFailure()) return;
    }
    expect_glued(t.desk());
  }
}

TEST(FixpointGroup, LazyIsSolvedWhenAMemberIsRead) {
  model declared;
  const auto outside = declared.source<std::int32_t>("outside", 40);
  const auto a = declared.declare<std::int32_t>("a", 40);
  const auto b = declared.declare<std::int32_t>("b", 40);
  declared.fixpoint<std::int32_t>(semiring_id::min_plus,
                                  {{a, {outside, term(b, 1)}}, {b, {term(a, 2)}}},
                                  {.is_lazy = true});
  engine desk = opened(declared);
  set_one(desk, outside, 39, 7);
  EXPECT_EQ(desk.last_commit().lines_relaxed, 0u);
  EXPECT_EQ(*desk.snapshot().get(b, 39), 9);
  EXPECT_EQ(*desk.snapshot().get(a, 39), 7);
}

TEST(FixpointGroup, MistakesAreNamedAndRefuseTheWholeGroup) {
  model declared;
  const auto outside = declared.source<float>("outside", 5);
  const auto a = declared.declare<float>("a", 5);
  const auto b = declared.declare<float>("b", 5);
  const auto c = declared.declare<float>("c", 5);
  const auto d = declared.declare<float>("d", 6);
  const auto e = declared.declare<float>("e", 5);
  const auto f = declared.declare<float>("f", 5);
  declared.fixpoint<float>(semiring_id::sum_product, {{a, {b}}, {b, {a, outside}}});
  declared.fixpoint<float>(semiring_id::min_plus, {{c, {d}}, {d, {c, outside}}});
  declared.fixpoint<float>(semiring_id::min_plus, {{e, {term(e, outside)}}});
  declared.fixpoint<float>(semiring_id::min_plus, {{f, {f, outside}}, {f, {f}}});
  const auto g = declared.declare<float>("g", 5);
  declared.fixpoint<float>(semiring_id::min_plus, {{g, {g}}});
  const std::vector<status> found = declared.mistakes();
  ASSERT_EQ(found.size(), 5u);
  expect_status(found[0], status_code::type_mismatch, {"idempotent", "sum_product on f32", "'a'"});
  expect_status(found[1], status_code::length_mismatch, {"'c' has 5", "'d' has 6"});
  expect_status(found[2], status_code::unsupported, {"'e' in the definition of 'e'"});
  expect_status(found[3], status_code::invalid_argument, {"defined twice", "'f'"});
  expect_status(found[4], status_code::invalid_argument, {"from outside", "'g'"});
}

TEST(FixpointGroup, ACycleThroughAnArrayOutsideIsRefused) {
  model declared;
  const auto source = declared.source<float>("source", 5);
  const auto a = declared.declare<float>("a", 5);
  const auto outside = declared.derive("outside", a + source);
  declared.fixpoint<float>(semiring_id::min_plus, {{a, {a, outside}}});
  const std::vector<status> found = declared.mistakes();
  ASSERT_EQ(found.size(), 1u);
  expect_status(found[0], status_code::cycle, {"make them one fixpoint", "outside -> "});
}

}  // namespace
}  // namespace engine_test
