/// \file
/// Contiguous arrays that grow and shrink across page counts: their pages move, bits, old flat
/// spans and forks stay, and a commit that fails moves nothing.
#include <deque>

#include "engine/support.hpp"
#include "model/dice.hpp"

namespace engine_test {
namespace {

using model_test::dice;
using word = std::uint32_t;

constexpr std::uint64_t per_page = 4096 / sizeof(word);

/// A contiguous source and what is derived from it, beside plain vectors; a host function that
/// fails when told to.
struct growing {
  explicit growing(const engine_options& options) : desk(opened(build(), options)) {
    values.assign(flat.size(), 0);
  }
  const model& build() {
    flat = declared.source<word>("flat", 100, {.page = page_class::b4k,
                                               .layout = layout::contiguous});
    before = declared.source<word>("before", 3 * per_page, {.layout = layout::contiguous});
    twice = declared.derive("twice", flat * word{2}, {.page = page_class::b4k,
                                                      .layout = layout::contiguous});
    total = declared.derive("total", sum(twice));
    watched = declared.derive_host<word>("watched", 1, {twice}, [this](host_call& call) {
      call.result<word>()[0] = static_cast<word>(call.operand<word>(0).size());
      if (!fails) return status();
      return status(status_code::invalid_argument, subsystem::engine, "told to");
    });
    return declared;
  }
  /// Another length, or what makes one.
  void change_length(transaction& txn, std::uint64_t length, dice& any) {
    if (length > values.size() && any.chance(50)) {
      std::vector<word> more(length - values.size());
      for (word& value : more) value = static_cast<word>(any.word());
      flat = txn.append(flat, more);
      values.insert(values.end(), more.begin(), more.end());
    } else {
      flat = txn.resize(flat, length);
      values.resize(length, 0);
    }
  }
  void write(transaction& txn, dice& any) {
    const std::uint64_t index = any.below(values.size());
    values[index] = static_cast<word>(any.word());
    txn.set(flat, {.index = index}, values[index]);
  }
  template <class State>
  void expect_values(const State& now) const {
    expect_values(now, values);
  }
  template <class State>
  void expect_values(const State& now, const std::vector<word>& expected) const {
    const auto source = now.fetch(flat), derived = now.fetch(twice);
    ASSERT_TRUE(source && derived);
    ASSERT_EQ(source->size(), expected.size());
    ASSERT_EQ(derived->size(), expected.size());
    word sum_of_all = 0;
    std::vector<word> found(expected.size()), doubled(expected.size());
    source->copy_to(found);
    derived->copy_to(doubled);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(found[i], expected[i]) << i;
      ASSERT_EQ(doubled[i], expected[i] * 2) << i;
      sum_of_all += expected[i] * 2;
    }
    ASSERT_EQ(now.get(total).value(), sum_of_all);
    ASSERT_EQ(now.get(watched).value(), expected.size());
  }

  model declared;
  array<word> flat, before, twice, total, watched;
  std::vector<word> values;
  std::atomic<bool> fails{false};
  engine desk;
};

/// A snapshot, where its span lay and what it held.
struct held_span {
  explicit held_span(growing& of)
      : now(of.desk.snapshot()),
        source(now.fetch(of.flat).value()),
        derived(now.fetch(of.twice).value()),
        spans{source.flat().value(), derived.flat().value()},
        contents{{spans[0].begin(), spans[0].end()}, {spans[1].begin(), spans[1].end()}} {}
  void expect_still() const {
    const std::span<const word> again[] = {source.flat().value(), derived.flat().value()};
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(again[i].data(), spans[i].data()) << "the span moved";
      EXPECT_TRUE(std::ranges::equal(spans[i], contents[i])) << "the span changed";
    }
  }
  snapshot now;
  view<word> source, derived;
  std::span<const word> spans[2];
  std::vector<word> contents[2];
};

/// One commit that changes the length, tried once with a failure first.
void change(growing& g, dice& any) {
  const std::vector<word> values_before = g.values;
  const array<word> flat_before = g.flat;
  const std::uint64_t length = 1 + any.below(6 * per_page);
  const bool fails_first = any.chance(50);
  for (const bool fails : {true, false}) {
    if (fails && !fails_first) continue;
    dice same = any;
    auto txn = g.desk.begin();
    g.change_length(txn, length, same);
    g.write(txn, same);
    g.fails = fails;
    const auto done = std::move(txn).commit();
    g.fails = false;
    if (!fails) {
      any = same;
      ASSERT_TRUE(done) << done.error().message();
      continue;
    }
    g.flat = flat_before;
    g.values = values_before;
    expect_status(done, status_code::operator_failed, {"watched", "told to"});
    g.expect_values(g.desk.snapshot());
    expect_glued(g.desk);
  }
}

TEST(ContiguousResize, KeepsBitsAndLeavesOldSpansAndForksAsTheyAre) {
  for (const readers mode : both_modes) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      dice any(seed);
      growing g({.mode = mode});
      std::deque<held_span> held;
      for (int step = 0; step < 40 && !testing::Test::HasFailure(); ++step) {
        if (any.chance(30)) held.emplace_back(g);
        if (held.size() > 3) held.pop_front();
        fork_state branch = g.desk.fork();
        std::vector<word> in_fork = g.values;
        const array<word> handle = g.flat;
        if (any.chance(60)) {
          change(g, any);
        } else {
          auto txn = g.desk.begin();
          g.write(txn, any);
          committed(std::move(txn));
        }
        g.expect_values(g.desk.snapshot());
        for (const held_span& span : held) span.expect_still();
        // The fork goes on with the old length.
        auto txn = branch.begin();
        txn.set(handle, {.index = in_fork.size() - 1}, 77u);
        const auto done = std::move(txn).commit();
        ASSERT_TRUE(done) << done.error().message();
        in_fork.back() = 77;
        g.expect_values(branch.snapshot(), in_fork);
      }
      expect_glued(g.desk);
      held.clear();
      g.desk.trim();
      EXPECT_EQ(g.desk.stats().history_bytes, 0u);
    }
  }
}

TEST(ContiguousResize, AnArrayThatComesAndGoesInLengthDoesNotFillMemory) {
  growing g({});
  std::uint64_t most = 0;
  dice any(9);
  for (std::uint64_t round = 0; round < 60; ++round) {
    std::vector<snapshot> held;
    for (int extents = 0; extents < 3; ++extents) {  // each makes the arrays need one more
      held.push_back(g.desk.snapshot());
      auto write = g.desk.begin();
      g.write(write, any);
      committed(std::move(write));
    }
    held.clear();
    g.desk.trim();
    auto txn = g.desk.begin();
    g.flat = txn.resize(g.flat, round % 2 == 0 ? 5 * per_page : 2 * per_page);
    g.values.resize(g.flat.size(), 0);
    committed(std::move(txn));
    const std::uint64_t bytes = g.desk.stats().frame_bytes;
    if (round < 4) most = std::max(most, bytes);
    EXPECT_LE(bytes, most) << "round " << round;
  }
  g.expect_values(g.desk.snapshot());
}

}  // namespace
}  // namespace engine_test
