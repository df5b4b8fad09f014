/// \file
/// Random histories of eight threads, checked afterwards: every value written is unique, so what
/// each transaction read names the transaction that wrote it, and the direct serialization graph
/// can be built and searched for cycles (Adya, Liskov, O'Neil: Generalized Isolation Level
/// Definitions).
#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {
namespace {

constexpr std::uint64_t cell_count = 12;
/// Cells lie in pairs on lines of their own: neighbours share a line.
constexpr std::uint64_t element_of_cell(std::uint64_t cell) { return cell / 2 * 64 + cell % 2; }

/// One committed transaction. Values are the number of their writer; 0 is the start.
struct committed_txn {
  std::uint64_t id = 0;
  std::uint64_t epoch = 0;
  std::map<std::uint64_t, std::uint64_t> reads;  ///< value seen by cell
  std::vector<std::uint64_t> writes;             ///< cells
};

struct history_engine {
  history_engine() : desk(opened(build())) {}
  const model& build() {
    cells = declared.source<std::uint64_t>("cells", cell_count * 32);
    tripled = declared.derive("tripled", cells * std::uint64_t{3});
    total = declared.derive("total", sum(cells));
    return declared;
  }
  model declared;
  array<std::uint64_t> cells, tripled, total;
  engine desk;
};

/// Runs `rounds` transactions; half of the reads go through the derived array.
void run_thread(history_engine& h, isolation level, std::uint64_t seed, std::uint64_t thread,
                std::uint64_t rounds, std::vector<committed_txn>& out) {
  sheaf_test::random_numbers random(seed * 100 + thread);
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    committed_txn mine;
    mine.id = thread << 32 | round;
    auto txn = h.desk.begin({.level = level});
    for (std::uint64_t i = random() % 4; i-- > 0;) {
      const std::uint64_t cell = random() % cell_count;
      const bool derived = random() % 2 == 0;
      const auto seen = txn.read(derived ? h.tripled : h.cells, element_of_cell(cell));
      ASSERT_TRUE(seen) << seen.error().message();
      ASSERT_TRUE(!derived || *seen % 3 == 0);
      const std::uint64_t value = derived ? *seen / 3 : *seen;
      const auto known = mine.reads.emplace(cell, value).first;
      ASSERT_EQ(known->second, value) << "a cell read twice";
      if (random() % 8 == 0) std::this_thread::yield();
    }
    for (std::uint64_t i = 1 + random() % 2; i-- > 0;) {
      const std::uint64_t cell = random() % cell_count;
      if (std::count(mine.writes.begin(), mine.writes.end(), cell) != 0) continue;
      mine.writes.push_back(cell);
      txn.set(h.cells, {.index = element_of_cell(cell)}, mine.id);
    }
    const auto done = std::move(txn).commit();
    if (!done) {
      ASSERT_EQ(done.error().code(), status_code::conflict) << done.error().message();
      continue;
    }
    mine.epoch = done->value;
    out.push_back(std::move(mine));
  }
}

enum class edge_kind { follows, overtakes };  // ww and wr; rw

struct serialization_graph {
  explicit serialization_graph(const std::vector<committed_txn>& all) {
    std::map<std::uint64_t, std::size_t> of_id;
    for (std::size_t i = 0; i < all.size(); ++i) of_id[all[i].id] = i;
    edges.resize(all.size());
    for (std::uint64_t cell = 0; cell < cell_count; ++cell) {
      std::vector<std::size_t> versions;
      for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& writes = all[i].writes;
        if (std::find(writes.begin(), writes.end(), cell) != writes.end()) versions.push_back(i);
      }
      std::sort(versions.begin(), versions.end(),
                [&](auto a, auto b) { return all[a].epoch < all[b].epoch; });
      for (std::size_t v = 1; v < versions.size(); ++v) {
        EXPECT_LT(all[versions[v - 1]].epoch, all[versions[v]].epoch) << "one cell, one epoch";
        add(versions[v - 1], versions[v], edge_kind::follows);
      }
      for (std::size_t reader = 0; reader < all.size(); ++reader) {
        const auto seen = all[reader].reads.find(cell);
        if (seen == all[reader].reads.end()) continue;
        std::size_t next = 0;
        if (seen->second != 0) {
          const auto writer = of_id.find(seen->second);
          EXPECT_NE(writer, of_id.end()) << "read of a transaction that did not commit";
          if (writer == of_id.end()) continue;
          add(writer->second, reader, edge_kind::follows);
          next = static_cast<std::size_t>(
              std::find(versions.begin(), versions.end(), writer->second) - versions.begin() + 1);
        }
        if (next < versions.size()) add(reader, versions[next], edge_kind::overtakes);
      }
    }
  }
  void add(std::size_t from, std::size_t to, edge_kind kind) {
    if (from != to) edges[from].push_back({to, kind});
  }
  [[nodiscard]] bool reaches(std::size_t from, std::size_t to, bool overtaking) const {
    std::vector<bool> seen(edges.size(), false);
    std::vector<std::size_t> open{from};
    while (!open.empty()) {
      const std::size_t at = open.back();
      open.pop_back();
      if (at == to) return true;
      if (seen[at]) continue;
      seen[at] = true;
      for (const auto& [next, kind] : edges[at]) {
        if (overtaking || kind == edge_kind::follows) open.push_back(next);
      }
    }
    return false;
  }
  /// Cycles with exactly one `overtakes`; with `overtaking`, with any number of edges of any kind.
  [[nodiscard]] std::size_t cycles(bool overtaking) const {
    std::size_t found = 0;
    for (std::size_t from = 0; from < edges.size(); ++from) {
      for (const auto& [to, kind] : edges[from]) {
        if (!overtaking && kind == edge_kind::follows) continue;
        found += reaches(to, from, overtaking);
      }
    }
    return found;
  }
  std::vector<std::vector<std::pair<std::size_t, edge_kind>>> edges;
};

std::vector<committed_txn> run_history(isolation level, std::uint64_t seed) {
  constexpr unsigned threads = 8;
  constexpr std::uint64_t rounds = 60;
  history_engine h;
  std::vector<std::vector<committed_txn>> parts(threads);
  std::vector<std::thread> crew;
  for (unsigned i = 0; i < threads; ++i) {
    crew.emplace_back([&, i] { run_thread(h, level, seed, i + 1, rounds, parts[i]); });
  }
  for (std::thread& member : crew) member.join();
  expect_glued(h.desk);
  EXPECT_EQ(h.desk.stats().open_snapshots, 0u);
  std::vector<committed_txn> all;
  for (auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(History, SerializableHistoriesHaveNoCycle) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto all = run_history(isolation::serializable, seed);
    EXPECT_GT(all.size(), 50u);
    EXPECT_EQ(serialization_graph(all).cycles(true), 0u);
  }
}

TEST(History, SnapshotHistoriesHaveNoCycleWithOneAntiDependency) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto all = run_history(isolation::snapshot, seed);
    EXPECT_GT(all.size(), 50u);
    EXPECT_EQ(serialization_graph(all).cycles(false), 0u);
  }
}

TEST(History, TheGraphFindsTheCyclesItIsAskedFor) {
  // Write skew: a cycle of two anti-dependencies; lost update: one of one.
  committed_txn one{1, 2, {{0, 0}, {1, 0}}, {0}}, two{2, 3, {{0, 0}, {1, 0}}, {1}};
  const serialization_graph skew({one, two});
  EXPECT_EQ(skew.cycles(true), 2u);
  EXPECT_EQ(skew.cycles(false), 0u);
  committed_txn first{1, 2, {{0, 0}}, {0}}, second{2, 3, {{0, 0}}, {0}};
  const serialization_graph lost({first, second});
  EXPECT_GT(lost.cycles(false), 0u);
}

}  // namespace
}  // namespace engine_test
