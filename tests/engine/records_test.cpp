/// \file
/// Records of commits: what subscribers see and miss, and what `explain` answers.
#include <map>
#include <thread>

#include "engine/support.hpp"
#include "page/random.hpp"

namespace engine_test {
namespace {

struct desk_of_prices {
  explicit desk_of_prices(const engine_options& options = {}) : desk(opened(build(), options)) {}
  const model& build() {
    price = declared.source<float>("price", 4096);
    quantity = declared.source<float>("quantity", 4096);
    value = declared.derive("value", price * quantity);
    total = declared.derive("total", sum(value));
    late = declared.derive("late", price + 1.0f, {.when = evaluation::lazy});
    return declared;
  }
  model declared;
  array<float> price, quantity, value, total, late;
  engine desk;
};

TEST(Subscription, TellsEachEpochThatChangedItsArraysAndNoOther) {
  desk_of_prices d;
  set_all(d.desk, d.quantity, 2.0f);
  auto changes = d.desk.subscribe({d.value});
  ASSERT_TRUE(changes) << changes.error().message();
  change_event next;
  EXPECT_FALSE(changes.poll(next)) << "what came before is not told";
  set_one(d.desk, d.price, 1024 + 17, 3.0f);  // page 1, line 1
  set_one(d.desk, d.price, 1024 + 17, 3.0f);  // the same bits: nothing changed
  const epoch last = set_one(d.desk, d.price, 5, 4.0f);
  ASSERT_TRUE(changes.poll(next));
  EXPECT_EQ(next.epoch(), epoch{3});
  EXPECT_EQ(next.missed, 0u);
  ASSERT_EQ(next.pages.size(), 1u);
  EXPECT_EQ(next.pages[0].array, d.value.id());
  EXPECT_EQ(next.pages[0].page, 1u);
  EXPECT_EQ(next.pages[0].lines, 2u);
  EXPECT_EQ(next.record.lines_of(d.price.id(), 1), 2u);
  EXPECT_EQ(next.record.lines_of(d.total.id(), 0), 1u);
  EXPECT_EQ(next.record.lines_of(d.quantity.id(), 1), 0u);
  ASSERT_TRUE(changes.poll(next));
  EXPECT_EQ(next.epoch(), last);
  EXPECT_FALSE(changes.poll(next));
}

TEST(Subscription, FollowingTheRecordsReproducesEveryArrayLineByLine) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    sheaf_test::random_numbers random(seed);
    desk_of_prices d;
    auto changes = d.desk.subscribe({d.price, d.value, d.total});
    std::map<std::uint32_t, std::vector<float>> copies;
    const auto now = d.desk.snapshot();
    for (const auto& target : {d.price, d.value, d.total}) {
      copies[index_of(target.id())] = values_of(now, target);
    }
    for (int round = 0; round < 200; ++round) {
      auto txn = d.desk.begin();
      for (std::uint64_t i = random() % 20; i-- > 0;) {
        txn.set(random() % 2 == 0 ? d.price : d.quantity, {.index = random() % 4096},
                static_cast<float>(random() % 8));
      }
      committed(std::move(txn));
      if (random() % 4 != 0) continue;
      const auto fresh = d.desk.snapshot();
      changes.deliver([&](const change_event& event) {
        EXPECT_EQ(event.missed, 0u);
        EXPECT_TRUE(event.record.is_exact());
        for (const changed_page& page : event.pages) {
          for (const auto& target : {d.price, d.value, d.total}) {
            if (target.id() != page.array) continue;
            auto& copy = copies[index_of(page.array)];
            for_each_line(page.lines, [&](unsigned line) {
              for (std::size_t i = 0; i < 16; ++i) {
                const std::size_t at = page.page * 1024u + line * 16 + i;
                if (at < copy.size()) copy[at] = fresh.get(target, at).value();
              }
            });
          }
        }
      });
      for (const auto& target : {d.price, d.value, d.total}) {
        ASSERT_EQ(copies[index_of(target.id())], values_of(fresh, target));
      }
    }
  }
}

TEST(Subscription, ASlowSubscriberLearnsHowManyEpochsItMissedAndStallsNobody) {
  desk_of_prices d({.record_bytes_max = 16384});
  auto slow = d.desk.subscribe({d.price});
  auto idle = d.desk.subscribe({d.price});
  change_event first;
  set_one(d.desk, d.price, 0, 1.0f);
  ASSERT_TRUE(idle.poll(first));
  const auto before = first.record.lines_of(d.price.id(), 0);
  constexpr std::uint64_t commits = 2000;
  for (std::uint64_t i = 0; i < commits; ++i) {
    set_one(d.desk, d.price, i % 4096, static_cast<float>(i + 2));
  }
  std::uint64_t seen = 0, missed = 0;
  epoch last{};
  slow.deliver([&](const change_event& event) {
    EXPECT_GT(event.epoch(), last);
    last = event.epoch();
    ++seen;
    missed += event.missed;
  });
  EXPECT_EQ(seen + missed, commits + 1);
  EXPECT_GT(missed, 1000u);
  EXPECT_GT(seen, 50u);
  EXPECT_EQ(last, d.desk.epoch());
  EXPECT_EQ(first.record.lines_of(d.price.id(), 0), before) << "a record that is held stays";
  EXPECT_EQ(first.epoch(), epoch{2});
}

TEST(Subscription, WaitsForACommitAndEndsWithTheEngine) {
  desk_of_prices d;
  auto changes = d.desk.subscribe({d.price});
  change_event next;
  EXPECT_FALSE(changes.wait(next, std::chrono::milliseconds(1)));
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    set_one(d.desk, d.price, 0, 1.0f);
  });
  EXPECT_TRUE(changes.wait(next, std::chrono::seconds(60)));
  writer.join();
  std::thread closer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    d.desk.close();
  });
  EXPECT_FALSE(changes.wait(next, std::chrono::seconds(60)));
  closer.join();
}

TEST(Subscription, SubscribersBesideWritersMissNothingOrSaySo) {
  desk_of_prices d({.record_bytes_max = 1 << 16});
  constexpr unsigned writers = 3, commits = 300;
  std::atomic<bool> stop{false};
  std::vector<std::thread> crew;
  for (unsigned i = 0; i < 2; ++i) {
    auto changes = d.desk.subscribe({d.price});
    crew.emplace_back([&, changes = std::move(changes)]() mutable {
      std::uint64_t epochs = 0;
      const auto count = [&](const change_event& event) { epochs += 1 + event.missed; };
      while (!stop) {
        change_event next;
        if (changes.wait(next, std::chrono::milliseconds(1))) count(next);
      }
      changes.deliver(count);
      EXPECT_EQ(epochs, d.desk.stats().groups);
    });
  }
  std::vector<std::thread> writing;
  for (unsigned i = 0; i < writers; ++i) {
    writing.emplace_back([&, i] {
      for (unsigned round = 0; round < commits; ++round) {
        set_one(d.desk, d.price, i * 64, static_cast<float>(round + 1));
      }
    });
  }
  for (std::thread& member : writing) member.join();
  stop = true;
  for (std::thread& member : crew) member.join();
}

TEST(Subscription, RefusesWhatIsNoArrayHereAndAnEngineWithoutRecords) {
  desk_of_prices d, other;
  expect_status(d.desk.subscribe({other.price}).error(), status_code::foreign_handle, {});
  desk_of_prices none({.record_bytes_max = 0});
  expect_status(none.desk.subscribe({none.price}).error(), status_code::unsupported,
                {"record_bytes_max"});
  set_one(none.desk, none.price, 0, 1.0f);
  d.desk.close();
  expect_status(d.desk.subscribe({d.price}).error(), status_code::closed, {});
}

TEST(Explain, NamesEpochTagAndOperandLinesThatLastChangedAnElement) {
  desk_of_prices d;
  set_all(d.desk, d.quantity, 2.0f);
  auto txn = d.desk.begin({.who = "feed", .why = "tick 7"});
  txn.set(d.price, {.index = 1024 + 17}, 3.0f);
  const epoch when = committed(std::move(txn));
  set_one(d.desk, d.price, 5, 1.0f);
  const auto why = d.desk.explain(d.value, 1024 + 18);
  ASSERT_TRUE(why) << why.error().message();
  EXPECT_TRUE(why->is_known);
  EXPECT_EQ(why->at, when);
  ASSERT_EQ(why->tags.size(), 1u);
  EXPECT_EQ(why->tags[0].who, "feed");
  EXPECT_EQ(why->tags[0].why, "tick 7");
  ASSERT_EQ(why->operands.size(), 1u);
  EXPECT_EQ(why->operands[0].array, d.price.id());
  EXPECT_EQ(why->operands[0].page, 1u);
  EXPECT_EQ(why->operands[0].lines, 2u);
  const auto source = d.desk.explain(d.price, 5);
  EXPECT_EQ(source->at, d.desk.epoch());
  EXPECT_TRUE(source->operands.empty());
  EXPECT_TRUE(source->tags.empty());
  EXPECT_EQ(d.desk.explain(d.total)->at, d.desk.epoch());
}

TEST(Explain, SaysSinceWhenItKnowsWhereTheAnswerIsOlder) {
  desk_of_prices d({.record_bytes_max = 16384});
  set_one(d.desk, d.price, 4000, 1.0f);
  for (int i = 0; i < 2000; ++i) set_one(d.desk, d.price, 7, static_cast<float>(i + 1));
  const auto old = d.desk.explain(d.price, 4000);
  ASSERT_TRUE(old);
  EXPECT_FALSE(old->is_known);
  EXPECT_GT(old->known_since, epoch{500});
  EXPECT_EQ(d.desk.explain(d.price, 7)->at, d.desk.epoch());
  expect_status(d.desk.explain(d.price, 4096), status_code::out_of_range, {"4096", "price"});
  expect_status(d.desk.explain(d.late, 1), status_code::unsupported, {"late"});
}

}  // namespace
}  // namespace engine_test
