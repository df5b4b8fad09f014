/// \file
/// Out of memory in calls that are no commits of one transaction: opening, reading, forking,
/// subscribing, explaining, keyed sources, groups. As in allocation_failure_test.cpp: a status at
/// every allocation, nothing thrown, nothing leaked, and the same call succeeds afterwards.
#include <functional>

#include <sheaf/engine/keyed.hpp>

#include "engine/engine_core.hpp"
#include "engine/failing_allocator.hpp"
#include "engine/support.hpp"
#include "engine/transaction_state.hpp"

namespace engine_test {
namespace {

constexpr const char* long_key = "a key that does not fit into a short string";

/// An engine with what the calls need. Names are longer than a string keeps in itself.
struct desk_of_calls {
  explicit desk_of_calls(const engine_options& options = {}) : desk(opened(build(), options)) {}
  const model& build() {
    source = declared.source<float>("the source of everything", 2000);
    doubled = declared.derive("twice the source of everything", source * 2.0f);
    lazy = declared.derive("what is computed when it is read", doubled + source,
                           {.when = evaluation::lazy});
    total = declared.derive("the lazy sum of what is lazy", sum(lazy),
                            {.when = evaluation::lazy});
    rows = declared.keyed_source<std::string_view>("rows", 64, 64);
    price = declared.source<float>("the price of a row", 64);
    return declared;
  }
  model declared;
  array<float> source, doubled, lazy, total, price;
  keyed<std::string_view> rows;
  engine desk;
};

/// Runs `call` with the k-th allocation failing for k = 1, 2, ...; `make_call` prepares each try on
/// a new desk. Returns how many allocations the call makes.
std::uint64_t sweep(const std::function<std::function<status()>(desk_of_calls&)>& make_call) {
  for (std::uint64_t k = 1;; ++k) {
    for (const shortage how : {shortage::one, shortage::from_there}) {
      SCOPED_TRACE(testing::Message() << "allocation " << k
                                      << (how == shortage::one ? "" : " and all behind it"));
      desk_of_calls d;
      set_one(d.desk, d.source, 3, 4.0f);
      const auto call = make_call(d);
      status said;
      bool was_short = true;
      arm_allocator(k, how);
      try {
        said = call();
        was_short = disarm_allocator();
      } catch (const std::exception& thrown) {
        (void)disarm_allocator();
        ADD_FAILURE() << "threw " << thrown.what();
      }
      if (!said.is_ok()) {
        expect_status(said, status_code::out_of_memory, {});
        const status again = make_call(d)();
        EXPECT_TRUE(again.is_ok()) << again.message();
      }
      expect_glued(d.desk);
      if (!was_short && how == shortage::one) return k - 1;
      if (testing::Test::HasFailure()) return k;
    }
  }
}

template <class T>
status status_of(const result<T>& done) {
  return done ? status() : done.error();
}

TEST(AllocationCalls, OpeningAnEngineFailsWithAStatusAndLeavesNothing) {
  model declared;
  const auto x = declared.source<float>("x", 3000, {.layout = layout::contiguous});
  const auto y = declared.derive("y", scan(semiring_id::sum_product, x));
  (void)declared.derive_host<float>("z", 1, {y}, [](host_call&) { return status(); });
  (void)declared.data();
  const auto open_short = [&](std::uint64_t k) {
    arm_allocator(k, shortage::one);
    const auto opened = engine::open(declared);
    const bool was_short = disarm_allocator();
    if (!opened) expect_status(opened.error(), status_code::out_of_memory, {});
    EXPECT_TRUE(was_short || opened) << opened.error().message();
    return was_short;
  };
  bool was_short = true;
  for (std::uint64_t k = 1; was_short && !HasFailure(); ++k) {
    (void)open_short(k);  // makes what is made once per process
    const std::int64_t before = live_blocks();
    was_short = open_short(k);
    EXPECT_EQ(live_blocks(), before) << "allocation " << k;
  }
}

TEST(AllocationCalls, ReadsOfLazyArraysFailAndCanBeAskedAgain) {
  EXPECT_GT(sweep([](desk_of_calls& d) -> std::function<status()> {
              auto now = std::make_shared<snapshot>(d.desk.snapshot());
              return [now, &d] {
                const auto found = now->fetch(d.total);
                return found ? status() : found.error();
              };
            }), 3u);
  EXPECT_GT(sweep([](desk_of_calls& d) -> std::function<status()> {
              auto branch = std::make_shared<fork_state>(d.desk.fork());
              return [branch, &d] {
                const auto found = branch->get(d.total);
                if (!found) return found.error();
                EXPECT_EQ(*found, 12.0f);
                return status();
              };
            }), 3u);
}

TEST(AllocationCalls, ForksAndMergesFailAndCanBeAskedAgain) {
  sweep([](desk_of_calls& d) -> std::function<status()> {
    return [&d] {
      const fork_state branch = d.desk.fork();
      if (!branch) return branch.error();
      const fork_state child = branch.fork();
      if (!child) return child.error();
      const snapshot now = child.snapshot();
      return now ? status() : now.error();
    };
  });
  EXPECT_GT(sweep([](desk_of_calls& d) -> std::function<status()> {
              auto one = std::make_shared<fork_state>(d.desk.fork());
              auto other = std::make_shared<fork_state>(one->fork());
              for (const auto& branch : {one, other}) {
                auto txn = branch->begin();
                txn.set(d.source, {.index = branch == one ? 5u : 6u}, 1.0f);
                EXPECT_TRUE(std::move(txn).commit());
              }
              return [one, other] { return status_of(one->merge_into(*other)); };
            }), 2u);
}

TEST(AllocationCalls, SubscriptionsAndExplanationsFailAndCanBeAskedAgain) {
  EXPECT_GT(sweep([](desk_of_calls& d) -> std::function<status()> {
              return [&d] {
                const auto feed = d.desk.subscribe({d.source, d.doubled});
                return feed ? status() : feed.error();
              };
            }), 1u);
  EXPECT_GT(sweep([](desk_of_calls& d) -> std::function<status()> {
              return [&d] { return status_of(d.desk.explain(d.doubled, 3)); };
            }), 1u);
}

TEST(AllocationCalls, KeyedRowsAreInsertedWholeOrNotAtAll) {
  EXPECT_GT(sweep([](desk_of_calls& d) -> std::function<status()> {
              return [&d] {
                auto txn = d.desk.begin();
                const auto row = insert(txn, d.rows, long_key);
                if (!row) return row.error();
                txn.set(d.price, {.index = *row}, 5.0f);
                const auto done = std::move(txn).commit();
                const auto found = find(d.desk.snapshot(), d.rows, long_key);
                EXPECT_TRUE(found);
                EXPECT_EQ(found && found->has_value(), bool{done});
                return status_of(done);
              };
            }), 3u);
}

TEST(AllocationCalls, AReaderThatLostIsToldOrHearsOfTheMemory) {
  sweep([](desk_of_calls& d) -> std::function<status()> {
    auto txn = std::make_shared<transaction>(
        d.desk.begin({.who = "the one who reads", .why = "for a reason that is long"}));
    EXPECT_TRUE(txn->read(d.doubled, 3));
    txn->set(d.source, {.index = 900}, 1.0f);
    auto winner = d.desk.begin({.who = "the one who writes", .why = "for another reason"});
    const float before = d.desk.snapshot().get(d.source, 3).value();
    winner.set(d.source, {.index = 3}, before + 1.0f);
    committed(std::move(winner));
    return [txn] {
      const auto done = std::move(*txn).commit();
      EXPECT_FALSE(done);
      return !done && done.error().code() == status_code::conflict ? status() : done.error();
    };
  });
}

TEST(AllocationCalls, AGroupThatFindsNoMemoryLeavesEachMemberAsItsStatusSays) {
  for (std::uint64_t k = 1;; ++k) {
    SCOPED_TRACE(testing::Message() << "allocation " << k);
    model declared;
    const auto value = declared.source<std::int64_t>("value", 1024);
    const auto total = declared.derive("total", sum(value));
    auto core = engine_core::open(declared, {}).value();
    const auto held = core->open_snapshot();
    ASSERT_TRUE(held);
    std::vector<delta> changes(4);
    std::vector<commit_request> members(4);
    std::vector<std::uint32_t> slots;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto amount = static_cast<std::int64_t>(i) + 1;
      ASSERT_TRUE(changes[i]
                      .set(value.id(), dtype::i64, merge_operator::assign, i * 100, &amount)
                      .is_ok());
      members[i].changes = &changes[i];
      const auto begun = core->begin();
      members[i].begin_epoch = begun.epoch;
      slots.push_back(begun.slot);
    }
    arm_allocator(k, shortage::one);
    core->commit_batch(members);
    const bool was_short = disarm_allocator();
    for (const std::uint32_t slot : slots) core->end(slot);
    const auto now = core->open_snapshot();
    ASSERT_TRUE(now);
    const auto found = core->find(value.handle(), dtype::i64, *now);
    const auto summed = core->find(total.handle(), dtype::i64, *now);
    ASSERT_TRUE(found && summed);
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const status& outcome = members[i].outcome;
      const std::int64_t wanted = outcome.is_ok() ? static_cast<std::int64_t>(i) + 1 : 0;
      if (!outcome.is_ok()) expect_status(outcome, status_code::out_of_memory, {});
      expected += wanted;
      const auto* page = reinterpret_cast<const std::int64_t*>(
          found->page_bytes(static_cast<std::uint32_t>(i * 100 / 512)));
      EXPECT_EQ(page[i * 100 % 512], wanted);
    }
    EXPECT_EQ(*reinterpret_cast<const std::int64_t*>(summed->page_bytes(0)), expected);
    EXPECT_EQ(core->audit()->lines_different, 0u);
    if (!was_short || HasFailure()) return;
  }
}

}  // namespace
}  // namespace engine_test
