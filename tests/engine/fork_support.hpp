/// \file
/// What the tests of forks share: an engine with every kind of operator, and reading forks.
#pragma once

#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {

/// Sources of several page sizes and types, and one of every kind of operator over them.
struct kinds {
  explicit kinds(const engine_options& options = {}, bool with_host = true)
      : desk(opened(build(with_host), options)) {}

  const model& build(bool with_host) {
    sheaf_test::random_numbers random(5);
    a = declared.source<float>("a", length);
    b = declared.source<float>("b", length);
    small = declared.source<float>("small", 40);
    counts = declared.source<std::int64_t>("counts", 700);
    sum_of_both = declared.derive("sum", a + b);
    least = declared.derive("least", combine(semiring_id::min_plus, {a, sum_of_both}));
    std::vector<std::uint32_t> indices(2000), group_of(2000);
    for (auto& index : indices) index = static_cast<std::uint32_t>(random() % length);
    for (auto& group : group_of) group = static_cast<std::uint32_t>(random() % 40);
    gathered = declared.derive("gathered", gather(least, indices));
    groups = declared.derive("groups",
                             segment_reduce(semiring_id::sum_product, gathered,
                                            segments::from_ids(group_of, 40)));
    total = declared.derive("total", sum(groups));
    scaled = declared.derive("scaled", sum_of_both * element_of(total, 0));
    weighted = declared.derive(
        "weighted", combine(semiring_id::sum_product, {term{groups, small}, term{small, 0.5f}}));
    most = declared.derive("most", maximum_of(counts));
    if (with_host) {
      hosted = declared.derive_host<float>("hosted", 40, {groups}, [this](host_call& call) {
        if (failing) return status(status_code::operator_failed, subsystem::engine, "asked to");
        const auto from = call.operand<float>(0);
        const auto to = call.result<float>();
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] * 2;
        return status();
      });
      after_host = declared.derive("after_host", hosted + small);
    }
    has_host = with_host;
    lazy = declared.derive("lazy", scaled + a, {.when = evaluation::lazy});
    lazier = declared.derive("lazier", sum(lazy), {.when = evaluation::lazy});
    return declared;
  }
  template <class State>
  [[nodiscard]] std::vector<std::byte> image(State&& of) const {
    auto bits = image_of(of, a, b, small, counts, sum_of_both, least, gathered, groups, total,
                         scaled, weighted, most, lazy, lazier);
    if (has_host) {
      const auto rest = image_of(of, hosted, after_host);
      bits.insert(bits.end(), rest.begin(), rest.end());
    }
    return bits;
  }

  static constexpr std::uint64_t length = 3000;
  model declared;
  array<float> a, b, small, sum_of_both, least, gathered, groups, total, scaled, weighted, hosted,
      after_host, lazy, lazier;
  array<std::int64_t> counts, most;
  bool has_host = false;
  std::atomic<bool> failing = false;
  engine desk;
};

/// Random writes to the sources of `k`: the same ones for equal seeds.
template <class Transaction>
void write_random(const kinds& k, Transaction& txn, std::uint64_t seed) {
  sheaf_test::random_numbers random(seed);
  const auto value = [&] { return static_cast<float>(random() % 1000) - 300; };
  switch (random() % 4) {
    case 0: txn.set(k.a, {.index = random() % kinds::length}, value()); break;
    case 1: {
      std::vector<std::uint32_t> indices(1 + random() % 50);
      std::vector<float> values(indices.size());
      for (auto& index : indices) index = static_cast<std::uint32_t>(random() % kinds::length);
      for (auto& each : values) each = value();
      txn.scatter(random() % 2 == 0 ? k.a : k.b, std::span<const std::uint32_t>(indices), values);
      break;
    }
    case 2: {
      const std::uint64_t first = random() % kinds::length;
      std::vector<float> values(1 + random() % (kinds::length - first));
      for (auto& each : values) each = value();
      txn.range(k.b, {.index = first}, values, merge_operator::add);
      break;
    }
    default:
      txn.merge(k.counts, merge_operator::max, {.index = random() % 700},
                static_cast<std::int64_t>(random() % 100'000));
      txn.merge(k.small, merge_operator::add, {.index = random() % 40}, value());
      break;
  }
}

/// Commits to a fork, which must succeed.
inline std::uint64_t committed(fork_transaction&& txn) {
  const auto done = std::move(txn).commit();
  EXPECT_TRUE(done) << done.error().message();
  return done ? *done : 0;
}

inline void write_random(const kinds& k, fork_state& to, std::uint64_t seed) {
  auto txn = to.begin();
  write_random(k, txn, seed);
  committed(std::move(txn));
}
inline void write_random(const kinds& k, engine& to, std::uint64_t seed) {
  auto txn = to.begin();
  write_random(k, txn, seed);
  committed(std::move(txn));
}

inline void expect_glued(fork_state& in) {
  const auto report = in.audit();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->lines_different, 0u);
}

}  // namespace engine_test
