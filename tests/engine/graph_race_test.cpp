/// \file
/// Readers beside a writer that changes the graph: snapshots, views, names, subscribers and forks
/// on threads of their own, each look compared with what its epoch holds.
#include <atomic>
#include <thread>

#include "engine/evolving.hpp"

namespace engine_test {
namespace {

constexpr unsigned commits = 200;
using state_ptr = std::shared_ptr<const evolving::state>;

/// Ends the others, whatever way the writer ended.
struct race {
  explicit race(readers mode, std::uint64_t seed) : world(seed, mode) {}
  template <class Body>
  void join_in(Body&& body) {
    crew.emplace_back([this, body] {
      sheaf_test::random_numbers random(++seats);
      for (unsigned round = 0; !is_over || round < 2; ++round) {
        body(world, random);
        if (testing::Test::HasFatalFailure()) return;
      }
    });
  }
  void run() {
    sheaf_test::random_numbers random(1);
    for (unsigned i = 0; i < commits && !testing::Test::HasFailure(); ++i) {
      world.step();
      if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
    }
    is_over = true;
    for (std::thread& each : crew) each.join();
    expect_glued(world.desk);
    world.desk.trim();
    EXPECT_EQ(world.desk.stats().open_snapshots, 0u);
    EXPECT_EQ(world.desk.stats().history_bytes, 0u);
    EXPECT_EQ(world.desk.stats().fork_bytes, 0u);
  }
  evolving world;
  std::atomic<unsigned> seats{0};
  std::atomic<bool> is_over{false};
  std::vector<std::thread> crew;
};

void expect_entry(const snapshot& now, const evolving::entry& expected) {
  const auto found = now.fetch(expected.handle);
  if (!expected.is_live) {
    ASSERT_FALSE(found) << expected.name;
    ASSERT_EQ(found.error().code(), status_code::unknown_array) << found.error().message();
    return;
  }
  ASSERT_TRUE(found) << expected.name << ": " << found.error().message();
  ASSERT_EQ(found->size(), expected.values.size()) << expected.name;
  std::vector<word> values(found->size());
  ASSERT_EQ(found->copy_to(values), values.size());
  ASSERT_TRUE(values == expected.values) << expected.name << " at epoch " << now.epoch().value;
  if (!expected.is_contiguous) return;
  const auto flat = found->flat();
  ASSERT_TRUE(flat) << flat.error().message();
  ASSERT_TRUE(std::ranges::equal(*flat, expected.values)) << expected.name;
}

/// Every array of a snapshot, and some views that are kept for later looks.
void read_everything(evolving& world, sheaf_test::random_numbers& random) {
  const snapshot now = world.desk.snapshot();
  ASSERT_TRUE(now) << now.error().message();
  const state_ptr expected = world.at(now.epoch());
  ASSERT_NE(expected, nullptr) << now.epoch().value;
  for (const evolving::entry& each : *expected) expect_entry(now, each);
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
  for (const evolving::entry& each : *expected) expect_entry(now, each);
}

/// Views outlive their snapshot's handle and many epochs.
void keep_views(evolving& world, sheaf_test::random_numbers& random) {
  std::vector<std::pair<view<word>, const evolving::entry*>> kept;
  std::vector<state_ptr> states;
  for (unsigned i = 0; i < 4; ++i) {
    const snapshot now = world.desk.snapshot();
    states.push_back(world.at(now.epoch()));
    ASSERT_NE(states.back(), nullptr);
    for (const evolving::entry& each : *states.back()) {
      if (!each.is_live || random() % 3 != 0) continue;
      auto found = now.fetch(each.handle);
      ASSERT_TRUE(found) << found.error().message();
      kept.emplace_back(std::move(*found), &each);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
  }
  for (const auto& [seen, expected] : kept) {
    std::vector<word> values(seen.size());
    seen.copy_to(values);
    ASSERT_TRUE(values == expected->values) << expected->name;
  }
}

/// A name of the newest graph may be newer than the snapshot: then the snapshot says so.
void read_by_name(evolving& world, sheaf_test::random_numbers& random) {
  const snapshot now = world.desk.snapshot();
  const state_ptr expected = world.at(now.epoch());
  ASSERT_NE(expected, nullptr);
  const evolving::entry& wanted = (*expected)[random() % expected->size()];
  if (!wanted.is_live) return;
  const auto found = world.desk.find<word>(wanted.name);
  if (!found) {
    ASSERT_EQ(found.error().code(), status_code::unknown_array) << found.error().message();
    ASSERT_GT(world.desk.epoch(), now.epoch()) << wanted.name << " was there";
    return;
  }
  const auto same = std::ranges::find_if(*expected, [&](const evolving::entry& each) {
    return each.handle.id() == found->id();
  });
  if (same != expected->end()) return expect_entry(now, *same);
  ASSERT_FALSE(now.fetch(*found)) << wanted.name << " names an array of a later epoch";
}

/// A fork of any moment computes on the graph of that moment.
void fork_off(evolving& world, sheaf_test::random_numbers& random) {
  fork_state branch = random() % 2 == 0 ? world.desk.fork() : world.desk.snapshot().fork();
  ASSERT_TRUE(branch) << branch.error().message();
  const state_ptr base = world.at(branch.base());
  ASSERT_NE(base, nullptr);
  evolving::state expected = *base;
  for (unsigned round = 0; round < 3; ++round) {
    evolving::entry& source = expected[random() % 4];
    const std::uint64_t index = random() % source.values.size();
    const word value = random();
    auto txn = branch.begin();
    txn.set(source.handle, {.index = index}, value);
    const auto done = std::move(txn).commit();
    ASSERT_TRUE(done) << done.error().message();
    source.values[index] = value;
    evolving::derive(expected);
    const fork_state child = branch.fork();
    const snapshot now = child.snapshot();
    for (const evolving::entry& each : expected) {
      if (!each.is_live) continue;
      const auto found = now.fetch(each.handle);
      ASSERT_TRUE(found) << found.error().message();
      ASSERT_EQ(found->size(), each.values.size()) << each.name;
      std::vector<word> values(found->size());
      found->copy_to(values);
      ASSERT_TRUE(values == each.values) << each.name;
    }
  }
}

/// What an event leaves out did not change, and its lines are those of its epoch.
void follow(evolving& world, subscription& feed, std::uint64_t& last) {
  change_event event;
  if (!feed.wait(event, std::chrono::milliseconds(1))) return;
  ASSERT_EQ(event.missed, 0u);
  ASSERT_GT(event.epoch().value, last);
  const state_ptr after = world.at(event.epoch());
  const state_ptr before = world.at(epoch{event.epoch().value - 1});
  const state_ptr seen = world.at(epoch{last});
  ASSERT_TRUE(after != nullptr && before != nullptr && seen != nullptr);
  const std::vector<word>&is = (*after)[0].values, &was = (*before)[0].values;
  ASSERT_TRUE((*seen)[0].values == was) << "an epoch without an event changed the array";
  std::vector<bool> told(is.size(), false);
  const std::uint64_t per_page = bytes_of(page_class::b4k) / sizeof(word);
  for (const changed_page& page : event.pages) {
    ASSERT_EQ(page.array, world.first_source().id());
    for_each_line(page.lines, [&](unsigned line) {
      for (std::uint64_t i = 0; i < 16; ++i) {
        const std::uint64_t element = page.page * per_page + line * 16 + i;
        if (element < told.size()) told[element] = true;
      }
    });
  }
  for (std::size_t i = 0; i < std::min(is.size(), was.size()); ++i) {
    ASSERT_TRUE(told[i] || is[i] == was[i]) << "element " << i;
  }
  last = event.epoch().value;
}

std::uint64_t seed_or(std::uint64_t usual) {
  const char* given = std::getenv("SHEAF_SEED");
  return given == nullptr ? usual : std::strtoull(given, nullptr, 10);
}

TEST(GraphRace, EverySnapshotViewAndNameIsOfItsEpochWhileTheGraphChanges) {
  for (const readers mode : both_modes) {
    const std::uint64_t seed = seed_or(11 + static_cast<unsigned>(mode));
    SCOPED_TRACE(testing::Message() << "SHEAF_SEED=" << seed);
    race r(mode, seed);
    r.join_in(read_everything);
    r.join_in(read_everything);
    r.join_in(keep_views);
    r.join_in(read_by_name);
    r.run();
  }
}

TEST(GraphRace, ForksAndSubscribersFollowAGraphThatChanges) {
  for (const readers mode : both_modes) {
    const std::uint64_t seed = seed_or(21 + static_cast<unsigned>(mode));
    SCOPED_TRACE(testing::Message() << "SHEAF_SEED=" << seed);
    race r(mode, seed);
    subscription feed = r.world.desk.subscribe({r.world.first_source()});
    ASSERT_TRUE(feed) << feed.error().message();
    std::uint64_t last = 1;
    r.join_in(fork_off);
    r.join_in(fork_off);
    r.join_in([&](evolving& world, sheaf_test::random_numbers&) { follow(world, feed, last); });
    r.run();
    EXPECT_GT(last, commits / 4) << "the subscriber saw next to nothing";
  }
}

TEST(GraphRace, ASubscriberThatLooksLateHearsOfEveryChangeOfTheGraph) {
  model declared;
  const auto source = declared.source<word>("source", 2000);
  const auto scaled = declared.derive("scaled", source * word{3});
  engine desk = opened(declared);
  set_all(desk, source, 5u);
  subscription feed = desk.subscribe({scaled});
  ASSERT_TRUE(feed);
  constexpr word changes = 100;
  for (word factor = 10; factor < 10 + changes; ++factor) {
    auto txn = desk.begin();
    txn.graph().redefine(scaled, source * factor);
    committed(std::move(txn));
  }
  std::uint64_t heard = 0, missed = 0;
  feed.deliver([&](const change_event& event) {
    ++heard;
    missed += event.missed;
  });
  EXPECT_EQ(missed, 0u);
  EXPECT_EQ(heard, changes);
}

}  // namespace
}  // namespace engine_test
