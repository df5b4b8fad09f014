/// \file
/// Writers, readers and lazy reads on many threads at once, held to invariants between arrays that
/// hold at every epoch.
#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {
namespace {

constexpr unsigned writer_count = 4;
constexpr std::uint64_t length = 4096;

/// Two sources that are always written alike, and what follows from that.
struct twins {
  explicit twins(const engine_options& options) : desk(opened(build(), options)) {}
  const model& build() {
    left = declared.source<std::uint64_t>("left", length);
    right = declared.source<std::uint64_t>("right", length, {.page = page_class::b256});
    gap = declared.derive("gap", left ^ right);
    total = declared.derive("total", sum(left));
    widest = declared.derive("widest", maximum_of(gap));
    late = declared.derive("late", left + right, {.when = evaluation::lazy});
    return declared;
  }
  /// Everything that must hold in any snapshot.
  void check(const snapshot& now) {
    const auto a = values_of(now, left);
    ASSERT_EQ(a, values_of(now, right));
    ASSERT_EQ(now.get(total).value(), std::accumulate(a.begin(), a.end(), std::uint64_t{0}));
    ASSERT_EQ(now.get(widest).value(), 0u);
    ASSERT_EQ(values_of(now, gap), std::vector<std::uint64_t>(length, 0));
    const auto doubled = values_of(now, late);
    for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(doubled[i], 2 * a[i]);
  }
  model declared;
  array<std::uint64_t> left, right, gap, total, widest, late;
  engine desk;
};

/// Commits of writer `mine`: elements i with i % writer_count == mine, last value `commits`.
void write(twins& t, unsigned mine, unsigned commits, std::set<std::uint64_t>& epochs) {
  sheaf_test::random_numbers random(mine + 1);
  for (unsigned round = 1; round <= commits; ++round) {
    auto txn = t.desk.begin();
    const unsigned count = 1 + random() % 8;
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t index = random() % (length / writer_count) * writer_count + mine;
      const std::uint64_t value = random();
      txn.set(t.left, {.index = index}, value);
      txn.set(t.right, {.index = index}, value);
    }
    txn.set(t.left, {.index = mine}, round);
    txn.set(t.right, {.index = mine}, round);
    if (random() % 8 == 0) {
      txn.abort();
      --round;
      continue;
    }
    epochs.insert(committed(std::move(txn)).value);
  }
}

TEST(Concurrent, EverySnapshotShowsWholeTransactionsOnlyAndNoCommitIsLost) {
  constexpr unsigned commits = 150;
  for (const readers mode : both_modes) {
    for (const unsigned threads : {1u, 2u}) {
      twins t({.mode = mode, .threads = threads});
      std::atomic<unsigned> writing{writer_count};
      std::vector<std::set<std::uint64_t>> epochs(writer_count);
      std::vector<std::thread> crew;
      for (unsigned i = 0; i < writer_count; ++i) {
        crew.emplace_back([&, i] {
          write(t, i, commits, epochs[i]);
          --writing;
        });
      }
      for (unsigned i = 0; i < 2; ++i) {
        crew.emplace_back([&] {
          snapshot old = t.desk.snapshot();
          auto image = image_of(old, t.left, t.right, t.gap, t.total);
          for (unsigned round = 0; writing != 0 || round < 3; ++round) {
            const auto now = t.desk.snapshot();
            ASSERT_TRUE(now) << now.error().message();
            ASSERT_GE(now.epoch(), old.epoch());
            t.check(now);
            ASSERT_EQ(image_of(old, t.left, t.right, t.gap, t.total), image);
            if (round % 4 == 0) {
              old = t.desk.snapshot();
              image = image_of(old, t.left, t.right, t.gap, t.total);
            }
          }
        });
      }
      for (std::thread& member : crew) member.join();
      std::set<std::uint64_t> all;
      for (const auto& part : epochs) all.insert(part.begin(), part.end());
      const engine_stats stats = t.desk.stats();
      EXPECT_EQ(stats.commits, writer_count * commits);
      EXPECT_EQ(all.size(), stats.groups) << "a group is one epoch";
      EXPECT_EQ(t.desk.epoch().value, 1 + stats.groups);
      const auto last = t.desk.snapshot();
      for (unsigned i = 0; i < writer_count; ++i) EXPECT_EQ(last.get(t.left, i).value(), commits);
      t.check(last);
      expect_glued(t.desk);
      EXPECT_EQ(t.desk.stats().open_snapshots, 1u);
      (void)t.desk.trim();
    }
  }
}

TEST(Concurrent, HistoryIsGoneOnceTheLastReaderOfManyLeft) {
  for (const readers mode : both_modes) {
    twins t({.mode = mode, .snapshots_max = 8});
    std::atomic<bool> stop{false};
    std::vector<std::thread> crew;
    for (unsigned i = 0; i < 3; ++i) {
      crew.emplace_back([&, i] {
        sheaf_test::random_numbers random(i);
        while (!stop) {
          const auto first = t.desk.snapshot();
          const auto view = first.fetch(t.left);
          ASSERT_TRUE(view);
          const std::uint64_t before = (*view)[7];
          for (unsigned look = 0; look < random() % 50; ++look) ASSERT_EQ((*view)[7], before);
        }
      });
    }
    for (std::uint64_t round = 1; round <= 400; ++round) {
      auto txn = t.desk.begin();
      txn.set(t.left, {.index = 7}, round);
      txn.set(t.right, {.index = 7}, round);
      committed(std::move(txn));
    }
    stop = true;
    for (std::thread& member : crew) member.join();
    (void)t.desk.trim();  // a reader that closed beside a commit left its frames to the next one
    EXPECT_EQ(t.desk.stats().history_bytes, 0u);
    EXPECT_EQ(t.desk.stats().open_snapshots, 0u);
    expect_glued(t.desk);
  }
}

TEST(Concurrent, ManyThreadsThatFetchALazyArrayComputeItOnce) {
  model m;
  const auto a = m.source<float>("a", 5000);
  std::atomic<int> calls{0};
  const auto host = m.derive_host<float>("host", 5000, {a}, [&](host_call& call) -> status {
    ++calls;
    const auto in = call.operand<float>(0);
    const auto out = call.result<float>();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[i] + 1.0f;
    return {};
  }, {.when = evaluation::lazy});
  const auto top = m.derive("top", sum(host), {.when = evaluation::lazy});
  engine e = opened(m);
  for (int round = 1; round <= 20; ++round) {
    set_all(e, a, static_cast<float>(round));
    calls = 0;
    const auto now = e.snapshot();
    std::vector<std::thread> crew;
    for (int i = 0; i < 4; ++i) {
      crew.emplace_back([&, i] {
        if (i % 2 == 0) {
          EXPECT_EQ(now.get(top).value(), 5000.0f * static_cast<float>(round + 1));
        }
        EXPECT_EQ(values_of(now, host), std::vector<float>(5000, static_cast<float>(round + 1)));
      });
    }
    // Commits go on meanwhile.
    set_all(e, a, -1.0f);
    for (std::thread& member : crew) member.join();
    EXPECT_EQ(calls, 1);
  }
}

TEST(Concurrent, CloseBesideWritersEndsThemWithClosedAndLosesNothingAcknowledged) {
  for (int round = 0; round < 10; ++round) {
    twins t({});
    std::atomic<std::uint64_t> acknowledged{1};
    std::vector<std::thread> crew;
    for (unsigned i = 0; i < 3; ++i) {
      crew.emplace_back([&, i] {
        for (std::uint64_t value = 1;; ++value) {
          auto txn = t.desk.begin();
          txn.set(t.left, {.index = i}, value);
          txn.set(t.right, {.index = i}, value);
          const auto done = std::move(txn).commit();
          if (!done) {
            EXPECT_EQ(done.error().code(), status_code::closed);
            return;
          }
          std::uint64_t seen = acknowledged;
          while (seen < done->value && !acknowledged.compare_exchange_weak(seen, done->value)) {
          }
        }
      });
    }
    while (acknowledged < 20) std::this_thread::yield();
    const auto now = t.desk.snapshot();
    t.desk.close();
    const std::uint64_t published = t.desk.epoch().value;
    for (std::thread& member : crew) member.join();
    EXPECT_EQ(t.desk.epoch().value, published) << "no commit after close";
    EXPECT_EQ(acknowledged, published);
    t.check(now);
  }
}

}  // namespace
}  // namespace engine_test
