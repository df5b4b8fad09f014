/// \file
/// Lazy arrays: computed whole on first read, once per snapshot, from what the snapshot sees.
#include <atomic>
#include <optional>
#include <stdexcept>

#include "engine/support.hpp"

namespace engine_test {
namespace {

constexpr derive_options lazily{.when = evaluation::lazy};

/// A source, and a lazy host array over it that counts its calls.
struct counted {
  explicit counted(const engine_options& options = {}) : desk(opened(build(), options)) {}
  const model& build() {
    source = declared.source<float>("source", 3000);
    lazy = declared.derive_host<float>("lazy", 3000, {source}, [this](host_call& call) -> status {
      ++calls;
      if (fails) throw std::runtime_error("not today");
      const auto in = call.operand<float>(0);
      const auto out = call.result<float>();
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[i] + 1.0f;
      return {};
    }, lazily);
    return declared;
  }
  model declared;
  array<float> source, lazy;
  std::atomic<int> calls{0};
  std::atomic<bool> fails{false};
  engine desk;
};

TEST(Lazy, IsComputedOncePerSnapshotAndNeverByACommit) {
  counted c;
  set_all(c.desk, c.source, 4.0f);
  EXPECT_EQ(c.calls, 0);
  EXPECT_EQ(c.desk.last_commit().host_calls, 0u);
  EXPECT_EQ(c.desk.last_commit().pages_recomputed, 0u);
  const auto first = c.desk.snapshot();
  EXPECT_EQ(c.calls, 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(first.get(c.lazy, 2999).value(), 5.0f);
  EXPECT_EQ(c.calls, 1);
  const auto second = c.desk.snapshot();
  EXPECT_EQ(values_of(second, c.lazy), std::vector<float>(3000, 5.0f));
  EXPECT_EQ(c.calls, 2);
}

TEST(Lazy, HasTheBitsOfItsSnapshotsEpochHoweverLateItIsRead) {
  for (const readers mode : both_modes) {
    counted c({.mode = mode});
    set_all(c.desk, c.source, 4.0f);
    const auto held = c.desk.snapshot();
    for (int round = 0; round < 5; ++round) set_all(c.desk, c.source, 50.0f);
    EXPECT_EQ(values_of(held, c.lazy), std::vector<float>(3000, 5.0f));
    EXPECT_EQ(c.desk.snapshot().get(c.lazy, 0).value(), 51.0f);
    const auto view = held.fetch(c.lazy).value();
    const std::span<const float> page = view.page(1);
    set_all(c.desk, c.source, 60.0f);
    EXPECT_EQ(page[0], 5.0f);
  }
}

TEST(Lazy, ChainsAndReductionsMatchTheirEagerTwins) {
  model m;
  const auto a = m.source<float>("a", 5000);
  const auto b = m.source<float>("b", 5000);
  const auto eager = m.derive("eager", a * 2.0f);
  std::vector<std::uint32_t> groups(5000);
  for (std::uint32_t i = 0; i < groups.size(); ++i) groups[i] = i * i % 13;
  const auto by_group = segments::from_ids(groups, 13);
  const auto declare = [&](const std::string& suffix, derive_options options) {
    const auto one = m.derive("one" + suffix, eager + b, options);
    const auto two = m.derive("two" + suffix, one * 3.0f - a, options);
    const auto total = m.derive("total" + suffix, sum(two * two), options);
    const auto grouped = m.derive(
        "grouped" + suffix, segment_reduce(semiring_id::max_plus, two, by_group), options);
    const auto picked = m.derive("picked" + suffix, gather(grouped, {12, 0, 5, 5}), options);
    const auto scaled = m.derive("scaled" + suffix, picked / element_of(total, 0), options);
    return std::tuple(one, two, total, grouped, picked, scaled);
  };
  const auto kept = declare(".eager", {});
  const auto asked = declare(".lazy", lazily);
  engine e = opened(m);
  std::vector<float> values(5000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 1001) / 7;
  auto txn = e.begin();
  txn.range(a, {}, values);
  txn.range(b, {}, std::vector<float>(values.rbegin(), values.rend()));
  committed(std::move(txn));
  const auto held = e.snapshot();
  set_all(e, a, 1.0f);
  const auto image = [&](const auto& arrays, const snapshot& at) {
    return std::apply([&](const auto&... each) { return image_of(at, each...); }, arrays);
  };
  // The last first: it computes all it needs, and nothing twice.
  EXPECT_EQ(image_of(held, std::get<5>(asked)), image_of(held, std::get<5>(kept)));
  EXPECT_EQ(image(asked, held), image(kept, held));
  EXPECT_EQ(image(asked, e.snapshot()), image(kept, e.snapshot()));
}

TEST(Lazy, AFailingHostFunctionFailsTheReadAloneAndMaySucceedLater) {
  counted c;
  set_all(c.desk, c.source, 4.0f);
  c.fails = true;
  const auto held = c.desk.snapshot();
  expect_status(held.fetch(c.lazy), status_code::operator_failed, {"lazy", "not today"});
  expect_status(held.get(c.lazy), status_code::operator_failed, {"lazy", "not today"});
  EXPECT_EQ(held.get(c.source).value(), 4.0f);
  EXPECT_EQ(set_one(c.desk, c.source, 0, 5.0f), epoch{3});
  c.fails = false;
  EXPECT_EQ(held.get(c.lazy).value(), 5.0f);
  EXPECT_EQ(c.desk.snapshot().get(c.lazy).value(), 6.0f);
}

TEST(Lazy, FailingReadsPileUpNoFrames) {
  counted c;
  c.fails = true;
  const auto held = c.desk.snapshot();
  const std::uint64_t bytes = c.desk.stats().frame_bytes;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(held.get(c.lazy));
  EXPECT_EQ(c.desk.stats().frame_bytes, bytes);
}

TEST(Lazy, FramesGoWithTheLastHolder) {
  counted c;
  const std::uint64_t bytes = c.desk.stats().frame_bytes;
  auto held = c.desk.snapshot();
  auto view = std::make_optional(held.fetch(c.lazy).value());
  EXPECT_EQ(c.desk.stats().frame_bytes, bytes + 3u * 4096);
  held.release();
  EXPECT_EQ((*view)[2999], 1.0f);
  view.reset();
  EXPECT_EQ(c.desk.stats().frame_bytes, bytes);
  // The slot of the pin is taken again: the overlay must not come with it.
  EXPECT_EQ(set_one(c.desk, c.source, 0, 9.0f), epoch{2});
  EXPECT_EQ(c.desk.snapshot().get(c.lazy).value(), 10.0f);
}

TEST(Lazy, IsReadableAfterTheEngineIsGone) {
  std::optional<counted> c(std::in_place);
  set_all(c->desk, c->source, 4.0f);
  const auto held = c->desk.snapshot();
  { const engine gone = std::move(c->desk); }
  EXPECT_EQ(held.get(c->lazy, 17).value(), 5.0f);
}

TEST(Lazy, PastTheMemoryLimitIsOutOfMemoryUntilThereIsRoom) {
  // Three pages of the source; the overlay needs three more, a held snapshot's history takes two.
  counted c({.memory_bytes_max = 7 * 4096});
  auto old = c.desk.snapshot();
  auto txn = c.desk.begin();
  txn.set(c.source, {.index = 0}, 1.0f);
  txn.set(c.source, {.index = 1024}, 1.0f);
  committed(std::move(txn));
  const auto now = c.desk.snapshot();
  expect_status(now.get(c.lazy), status_code::out_of_memory, {"28672"});
  EXPECT_EQ(now.get(c.source).value(), 1.0f);
  old.release();
  EXPECT_EQ(now.get(c.lazy).value(), 2.0f);
}

}  // namespace
}  // namespace engine_test
