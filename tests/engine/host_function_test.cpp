/// \file
/// Promise P5 (all-or-nothing). Host functions that fail: the commit fails naming the array, every
/// bit is as before, the epoch number is spent. Host functions that call the engine back:
/// `reentrant`, no deadlock.
#include <atomic>
#include <functional>
#include <stdexcept>

#include "engine/support.hpp"

namespace engine_test {
namespace {

/// source -> doubled -> first (host) -> mixed -> second (host) -> total, so that a failure of
/// `second` comes after four levels changed.
struct tower {
  explicit tower(const engine_options& options) : desk(opened(build(), options)) {
    std::vector<float> start(length);
    for (std::size_t i = 0; i < length; ++i) start[i] = static_cast<float>(i % 97) * 0.5f;
    auto txn = desk.begin();
    txn.range(source, {}, start);
    committed(std::move(txn));
  }

  const model& build() {
    source = declared.source<float>("source", length);
    doubled = declared.derive("doubled", source * 2.0f);
    first = declared.derive_host<float>("first", length, {doubled}, [this](host_call& call) {
      const auto in = call.operand<float>(0);
      const auto out = call.result<float>();
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[i] + 1.0f;
      return on_first ? on_first(call) : status();
    });
    mixed = declared.derive("mixed", first + source);
    second = declared.derive_host<float>("second", length, {mixed}, [this](host_call& call) {
      const auto in = call.operand<float>(0);
      const auto out = call.result<float>();
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[i] * 0.5f;
      return on_second ? on_second(call) : status();
    });
    total = declared.derive("total", sum(second));
    return declared;
  }
  std::vector<std::byte> image() {
    return image_of(desk, source, doubled, first, mixed, second, total);
  }

  static constexpr std::size_t length = 3000;
  model declared;
  array<float> source, doubled, first, mixed, second, total;
  std::function<status(host_call&)> on_first, on_second;
  engine desk;
};

/// Commits twice under a failing `second`: the engine is as before, and works when it works again.
void expect_rolled_back(tower& t, const std::vector<std::string_view>& words) {
  const auto before = t.image();
  const epoch old_epoch = t.desk.epoch();
  const work_counters old_work = t.desk.last_commit();
  const engine_stats old_stats = t.desk.stats();
  const auto held = t.desk.snapshot();
  for (std::uint64_t attempt = 1; attempt <= 2; ++attempt) {
    auto txn = t.desk.begin();
    txn.set(t.source, {.index = 7}, 1000.0f);
    txn.set(t.source, {.index = 2999}, -1000.0f);
    const auto done = std::move(txn).commit();
    ASSERT_FALSE(done);
    for (const std::string_view word : words) {
      EXPECT_THAT(done.error().message(), testing::HasSubstr(std::string(word)));
    }
    EXPECT_EQ(t.desk.epoch(), old_epoch);
    EXPECT_EQ(t.image(), before);
    EXPECT_EQ(image_of(held, t.source, t.doubled, t.first, t.mixed, t.second, t.total), before);
    EXPECT_EQ(t.desk.last_commit(), old_work);
    EXPECT_EQ(t.desk.stats().failed_commits, old_stats.failed_commits + attempt);
    EXPECT_EQ(t.desk.stats().commits, old_stats.commits);
    EXPECT_EQ(t.desk.stats().history_bytes, 0u);
    EXPECT_LE(t.desk.stats().frame_bytes, old_stats.frame_bytes);
  }
  t.on_first = t.on_second = nullptr;
  expect_glued(t.desk);
  const epoch next = set_one(t.desk, t.source, 7, 1000.0f);
  EXPECT_EQ(next.value, old_epoch.value + 3) << "failed commits spend their epochs";
  EXPECT_EQ(t.desk.snapshot().get(t.second, 7).value(), (2001.0f + 1000.0f) * 0.5f);
  EXPECT_EQ(t.desk.last_commit().host_calls, 2u);
  EXPECT_EQ(t.desk.last_commit().source_lines_changed, 1u) << "no mark of a failed commit is left";
  EXPECT_EQ(image_of(held, t.source, t.doubled, t.first, t.mixed, t.second, t.total), before);
  expect_glued(t.desk);
}

struct failure {
  const char* name;
  std::function<status(host_call&)> what;
  std::vector<std::string_view> words;
};

const std::vector<failure>& failures() {
  static const std::vector<failure> all{
      {"Status",
       [](host_call&) {
         return status(status_code::invalid_argument, subsystem::engine, "the sky fell");
       },
       {"second", "the sky fell", "operator_failed"}},
      {"StdException",
       [](host_call&) -> status { throw std::runtime_error("no more ink"); },
       {"second", "no more ink", "operator_failed"}},
      {"Integer", [](host_call&) -> status { throw 42; },
       {"second", "not a std::exception", "operator_failed"}},
      {"MissingOperand",
       [](host_call& call) {
         EXPECT_TRUE(call.operand<float>(1).empty());
         return status();
       },
       {"second", "1 operands", "number 1"}},
      {"OperandOfAnotherType",
       [](host_call& call) {
         EXPECT_TRUE(call.operand<double>(0).empty());
         return status();
       },
       {"second", "f32", "f64"}},
      {"ResultOfAnotherType",
       [](host_call& call) {
         EXPECT_TRUE(call.result<std::int32_t>().empty());
         return status();
       },
       {"second", "f32", "i32"}},
  };
  return all;
}

TEST(HostFunction, AnyFailureRestoresEveryBitOfEveryLevelInBothModes) {
  for (const readers mode : both_modes) {
    for (const unsigned threads : {1u, 4u}) {
      for (const failure& how : failures()) {
        SCOPED_TRACE(how.name);
        tower t({.mode = mode, .threads = threads});
        t.on_second = how.what;
        expect_rolled_back(t, how.words);
      }
    }
  }
}

TEST(HostFunction, AFailureAfterEveryPageChangedRestoresThemAll) {
  for (const readers mode : both_modes) {
    tower t({.mode = mode});
    const auto before = t.image();
    t.on_first = [](host_call&) -> status { throw std::runtime_error("late"); };
    const std::vector<float> all(tower::length, -3.0f);
    auto txn = t.desk.begin();
    txn.range(t.source, {}, all);
    const auto done = std::move(txn).commit();
    ASSERT_FALSE(done);
    expect_status(done.error(), status_code::operator_failed, {"first", "late"});
    EXPECT_EQ(t.image(), before);
    t.on_first = nullptr;
    expect_glued(t.desk);
    set_all(t.desk, t.source, -3.0f);
    EXPECT_EQ(t.desk.snapshot().get(t.first, 2999).value(), -5.0f);
    expect_glued(t.desk);
  }
}

TEST(HostFunction, AFailureTakesNoPartInCommitsThatDoNotReachIt) {
  model m;
  const auto fed = m.source<float>("fed", 100);
  const auto apart = m.source<float>("apart", 100);
  bool fails = false;
  const auto host = m.derive_host<float>("host", 1, {fed}, [&](host_call& call) -> status {
    if (fails) throw std::runtime_error("no");
    call.result<float>()[0] = call.operand<float>(0)[0];
    return {};
  });
  const auto beside = m.derive("beside", sum(apart));
  engine e = opened(m);
  fails = true;
  EXPECT_EQ(set_one(e, apart, 3, 2.0f), epoch{2});
  EXPECT_EQ(e.last_commit().host_calls, 0u);
  auto txn = e.begin();
  txn.set(apart, {}, 1.0f);
  txn.set(fed, {}, 1.0f);
  EXPECT_FALSE(std::move(txn).commit());
  EXPECT_EQ(e.snapshot().get(beside).value(), 2.0f);
  EXPECT_EQ(e.snapshot().get(host).value(), 0.0f);
}

TEST(HostFunction, AnEqualResultIsCutOff) {
  model m;
  const auto a = m.source<float>("a", 2000);
  const auto host = m.derive_host<float>("host", 2000, {a}, [](host_call& call) -> status {
    const auto out = call.result<float>();
    out[1999] = call.operand<float>(0)[1999];
    return {};
  });
  const auto after = m.derive("after", host + 1.0f);
  engine e = opened(m);
  set_one(e, a, 0, 5.0f);
  EXPECT_EQ(e.last_commit().host_calls, 1u);
  EXPECT_EQ(e.last_commit().pages_recomputed, 2u) << "the host array has two pages, `after` waits";
  EXPECT_EQ(e.last_commit().lines_recomputed, 125u);
  EXPECT_EQ(e.last_commit().lines_cut_off, 125u);
  set_one(e, a, 1999, 5.0f);
  EXPECT_EQ(e.last_commit().pages_recomputed, 3u);
  EXPECT_EQ(e.last_commit().lines_cut_off, 124u);
  EXPECT_EQ(e.snapshot().get(after, 1999).value(), 6.0f);
}

TEST(HostFunction, CallingTheEngineBackGetsReentrantAndNoDeadlock) {
  for (const readers mode : both_modes) {
    tower t({.mode = mode});
    status from_commit, from_empty, from_snapshot, from_open, from_audit, from_recompute, from_read;
    engine_stats stats;
    const auto held = t.desk.snapshot();
    t.on_first = [&](host_call&) -> status {
      auto txn = t.desk.begin();
      txn.set(t.source, {}, 77.0f);
      from_commit = std::move(txn).commit().error();
      from_empty = t.desk.begin().commit().error();
      from_snapshot = t.desk.snapshot().error();
      model small;
      (void)small.source<float>("a", 1);
      from_open = engine::open(small).error();
      from_audit = t.desk.audit().error();
      from_recompute = t.desk.recompute();
      from_read = held.get(t.source).error();
      stats = t.desk.stats();
      (void)t.desk.last_commit();
      EXPECT_EQ(t.desk.trim(), 0u);
      return {};
    };
    const epoch before = t.desk.epoch();
    EXPECT_EQ(set_one(t.desk, t.source, 3, 4.0f).value, before.value + 1);
    for (const status& found : {from_commit, from_empty, from_snapshot, from_open, from_audit,
                                from_recompute, from_read}) {
      expect_status(found, status_code::reentrant, {});
    }
    EXPECT_EQ(t.desk.snapshot().get(t.source, 3).value(), 4.0f);
    EXPECT_NE(t.desk.snapshot().get(t.source, 0).value(), 77.0f);
    t.on_first = nullptr;
    expect_glued(t.desk);
  }
}

TEST(HostFunction, OneThatIsNotPureIsFoundByRecomputeAndChangesNothing) {
  model declared;
  const auto source = declared.source<float>("source", 16);
  int calls = 0;
  const auto drifting =
      declared.derive_host<float>("drifting", 1, {source}, [&](host_call& call) -> status {
        call.result<float>()[0] = static_cast<float>(++calls);
        return {};
      });
  auto opened = engine::open(declared);
  ASSERT_TRUE(opened);
  const float before = opened->snapshot().get(drifting).value();
  const auto held = opened->snapshot();
  expect_status(opened->recompute(), status_code::operator_failed, {"not pure"});
  EXPECT_EQ(opened->snapshot().get(drifting).value(), before);
  EXPECT_EQ(held.get(drifting).value(), before);
  EXPECT_NE(opened->audit()->lines_different, 0u);
  set_one(*opened, source, 3, 4.0f);
  EXPECT_NE(opened->snapshot().get(drifting).value(), before);
  EXPECT_EQ(held.get(drifting).value(), before);
}

TEST(HostFunction, ASnapshotAndAViewMayEndInsideOne) {
  tower t({});
  auto held = t.desk.snapshot();
  t.on_first = [&](host_call&) -> status {
    held.release();
    return {};
  };
  set_one(t.desk, t.source, 3, 4.0f);
  t.on_first = nullptr;
  set_one(t.desk, t.source, 3, 5.0f);
  EXPECT_EQ(t.desk.stats().open_snapshots, 0u);
  EXPECT_EQ(t.desk.stats().history_bytes, 0u);
}

TEST(HostFunction, CloseInsideOneEndsWritingAfterThisCommit) {
  tower t({});
  t.on_first = [&](host_call&) -> status {
    t.desk.close();
    return {};
  };
  const epoch done = set_one(t.desk, t.source, 3, 4.0f);
  EXPECT_EQ(t.desk.epoch(), done);
  EXPECT_EQ(t.desk.begin().commit().error().code(), status_code::closed);
}

}  // namespace
}  // namespace engine_test
