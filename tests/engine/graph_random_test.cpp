/// \file
/// Random graph changes: after each commit the engine has the bits of one opened from scratch with
/// the same definitions and the same sources; open snapshots keep theirs. Delays hold what the
/// array they follow held an epoch before, or their initial value: they are sources of the other
/// engine.
/// The seed is printed where a run fails; SHEAF_SEED sets the first one.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "engine/support.hpp"
#include "model/dice.hpp"

namespace {

using namespace engine_test;
using model_test::dice;

enum class kind : std::uint8_t {
  source, scaled, sum_of_two, combined, with_element, total, least, picked, grouped, delayed, host,
  count
};

/// One array, and what it is derived from: arrays of smaller number, never dropped ones.
struct recipe {
  kind form = kind::source;
  bool is_live = true;
  bool lazy = false;
  std::uint64_t length = 1;
  std::vector<std::uint32_t> reads = {};
  float factor = 1;
  std::uint64_t element = 0;
  std::vector<std::uint32_t> indices = {};
  std::string name = {};
};
using image = std::map<std::uint32_t, std::vector<float>>;

bool follows_by_element(kind form) {
  return form == kind::scaled || form == kind::sum_of_two || form == kind::combined ||
         form == kind::with_element;
}

class program {
 public:
  program(std::uint64_t seed, readers mode) : random_(seed), mode_(mode) {}

  void run() {
    model first;
    for (int i = 0; i < 3; ++i) add(first, recipe{.length = length_of_class()});
    for (int i = 0; i < 6; ++i) add(first, random_derived());
    engine_.emplace(opened(first, {.mode = mode_, .threads = random_.chance(20) ? 3u : 1u}));
    move_delays();
    check();
    for (int step = 0; step < 30 && !testing::Test::HasFatalFailure(); ++step) {
      SCOPED_TRACE(testing::Message() << "step " << step);
      take_step();
    }
    check();
    for (const auto& held : held_) compare(held.now, held.recipes, held.handles, held.expected);
    held_.clear();
    engine_->trim();
    EXPECT_EQ(engine_->stats().history_bytes, 0u);
  }

  static std::uint64_t changes, refused, failed;

 private:
  struct held_snapshot {
    snapshot now;
    std::vector<recipe> recipes;
    std::vector<array<float>> handles;
    image expected;
  };

  std::uint64_t length_of_class() { return lengths_[random_.below(2)]; }
  std::vector<std::uint32_t> live(bool lazy_too, std::uint32_t below) {
    std::vector<std::uint32_t> found;
    for (std::uint32_t i = 0; i < below; ++i) {
      if (recipes_[i].is_live && (lazy_too || !recipes_[i].lazy)) found.push_back(i);
    }
    return found;
  }

  recipe random_derived() { return random_derived(static_cast<std::uint32_t>(recipes_.size())); }
  recipe random_derived(std::uint32_t below) {
    recipe made;
    made.form = static_cast<kind>(random_.between(1, static_cast<unsigned>(kind::count) - 1));
    made.lazy = made.form != kind::delayed && random_.chance(15);
    const auto from = live(made.lazy, below);
    if (from.empty()) return recipe{.length = length_of_class()};
    made.factor = static_cast<float>(random_.below(9)) / 2;
    const std::uint32_t x = random_.pick(from);
    made.reads = {x};
    made.length = recipes_[x].length;
    const auto fits = [&](std::uint32_t other) {
      return recipes_[other].length == recipes_[x].length || recipes_[other].length == 1;
    };
    if (made.form == kind::sum_of_two || made.form == kind::combined) {
      for (int i = 0; i < 3; ++i) {
        const std::uint32_t other = random_.pick(from);
        if (fits(other)) made.reads.push_back(other);
      }
      if (made.form == kind::sum_of_two) made.reads.resize(2, x);
    } else if (made.form == kind::with_element) {
      made.reads.push_back(random_.pick(from));
      made.element = random_.below(recipes_[made.reads[1]].length);
    } else if (made.form == kind::total || made.form == kind::least) {
      made.length = 1;
    } else if (made.form == kind::picked || made.form == kind::grouped) {
      made.length = random_.between(1, 40);
      for (std::uint64_t i = 0; i < (made.form == kind::picked ? made.length : 100); ++i) {
        made.indices.push_back(static_cast<std::uint32_t>(random_.below(recipes_[x].length)));
      }
    } else if (made.form == kind::host) {
      made.length = random_.between(1, 300);
    }
    return made;
  }

  /// Declares or redefines number `at`.
  array<float> put(model& to, std::uint32_t at, const std::vector<recipe>& recipes,
                   const std::vector<array<float>>& handles, bool again) {
    const recipe& r = recipes[at];
    const auto when = r.lazy ? evaluation::lazy : evaluation::eager;
    const auto read = [&](std::size_t i) { return handles[r.reads[i]]; };
    const auto settle = [&](const definition<float>& computed) {
      return again ? to.redefine(handles[at], computed, when)
                   : to.derive(r.name, computed, {.when = when});
    };
    switch (r.form) {
      case kind::source: return to.source<float>(r.name, r.length);
      case kind::delayed:
        if (recomputing_) return to.source<float>(r.name, r.length);
        begun_.insert(at);
        return settle(delay(read(0), r.factor));
      case kind::scaled: return settle(read(0) * r.factor);
      case kind::sum_of_two: return settle(read(0) + read(1) * r.factor);
      case kind::combined: {
        std::vector<array<float>> all;
        for (std::size_t i = 0; i < r.reads.size(); ++i) all.push_back(read(i));
        return settle(combine(semiring_id::max_plus, all));
      }
      case kind::with_element: return settle(read(0) + element_of(read(1), r.element));
      case kind::total: return settle(sum(read(0)));
      case kind::least: return settle(minimum_of(read(0) * r.factor));
      case kind::picked: return settle(gather(read(0), r.indices));
      case kind::grouped: {
        std::vector<std::uint32_t> offsets(r.length + 1, 0);
        for (std::uint64_t g = 1; g <= r.length; ++g) {
          offsets[g] = static_cast<std::uint32_t>(r.indices.size() * g / r.length);
        }
        return settle(segment_reduce(semiring_id::sum_product, read(0),
                                     segments::from_csr(offsets, r.indices)));
      }
      default: break;
    }
    auto function = [this, factor = r.factor](host_call& call) -> status {
      if (fails_) return {status_code::operator_failed, subsystem::engine, "on command"};
      const auto from = call.operand<float>(0);
      const auto to_values = call.result<float>();
      for (std::size_t i = 0; i < to_values.size(); ++i) {
        to_values[i] = from[i % from.size()] * factor + static_cast<float>(from.size());
      }
      return {};
    };
    if (again) return to.redefine_host(handles[at], {read(0)}, std::move(function), r.length);
    return to.derive_host<float>(r.name, r.length, {read(0)}, std::move(function),
                                 {.when = when});
  }

  void add(model& to, recipe made) {
    if (random_.chance(70)) made.name = "n" + std::to_string(names_++);
    recipes_.push_back(std::move(made));
    const auto at = static_cast<std::uint32_t>(recipes_.size() - 1);
    handles_.push_back(put(to, at, recipes_, handles_, false));
    if (recipes_[at].form == kind::source) values_[at].resize(recipes_[at].length);
  }

  /// The lengths that follow; false where the definitions do not fit each other any more.
  bool follow() {
    for (recipe& r : recipes_) {
      if (!r.is_live || r.form == kind::source) continue;
      const std::uint64_t first = recipes_[r.reads[0]].length;
      if (r.form == kind::with_element && r.element >= recipes_[r.reads[1]].length) return false;
      for (const std::uint32_t index : r.indices) {
        if (index >= first) return false;
      }
      if (r.form == kind::delayed) r.length = first;
      if (!follows_by_element(r.form)) continue;
      r.length = 1;
      const std::size_t aligned = r.form == kind::with_element ? 1 : r.reads.size();
      for (std::size_t i = 0; i < aligned; ++i) {
        r.length = std::max(r.length, recipes_[r.reads[i]].length);
      }
      for (std::size_t i = 0; i < aligned; ++i) {
        const std::uint64_t own = recipes_[r.reads[i]].length;
        if (own != r.length && own != 1) return false;
      }
    }
    return true;
  }

  bool is_read(std::uint32_t array) const {
    return std::ranges::any_of(recipes_, [&](const recipe& r) {
      return r.is_live && std::ranges::count(r.reads, array) != 0;
    });
  }

  void edit(transaction& txn) {
    const auto all = live(true, static_cast<std::uint32_t>(recipes_.size()));
    if (all.empty()) return add(txn.graph(), recipe{.length = length_of_class()});
    const std::uint32_t at = random_.pick(all);
    recipe& r = recipes_[at];
    switch (random_.below(6)) {
      case 0: return add(txn.graph(), random_derived());
      case 1:
        if (random_.chance(30)) return add(txn.graph(), recipe{.length = length_of_class()});
        [[fallthrough]];
      case 2: {
        if (r.form == kind::source) return;
        recipe made = random_derived(at);
        if (made.form == kind::source) return;
        made.name = r.name;
        if (made.form == kind::host) made.lazy = r.lazy;  // redefine_host keeps it
        const bool is_over_lazy = !made.lazy && std::ranges::any_of(made.reads, [&](auto read) {
          return recipes_[read].lazy;
        });
        const bool is_under_eager =
            made.lazy && std::ranges::any_of(recipes_, [&](const recipe& other) {
              return other.is_live && !other.lazy && std::ranges::count(other.reads, at) != 0;
            });
        if (is_over_lazy || is_under_eager) return;
        r = made;
        handles_[at] = put(txn.graph(), at, recipes_, handles_, true);
        return;
      }
      case 3:
        if (is_read(at)) return;
        r.is_live = false;
        values_.erase(at);
        return txn.graph().drop(handles_[at]);
      case 4:
        r.name = "n" + std::to_string(names_++);
        return txn.graph().rename(handles_[at], r.name);
      default: return resize_class(txn);
    }
  }

  /// All sources of one length get another.
  void resize_class(transaction& txn) {
    std::uint64_t& length = lengths_[random_.below(2)];
    const std::uint64_t before = length;
    length = random_.chance(40) ? before + random_.between(1, 40) : random_.between(1, 1500);
    for (const std::uint32_t at : live(true, static_cast<std::uint32_t>(recipes_.size()))) {
      if (recipes_[at].form != kind::source || recipes_[at].length != before) continue;
      recipes_[at].length = length;
      handles_[at] = txn.resize(handles_[at], length);
      values_[at].resize(length);
    }
  }

  void write(transaction& txn, const std::vector<recipe>& recipes,
             const std::vector<array<float>>& handles, image& values) {
    for (auto& [at, all] : values) {
      if (!recipes[at].is_live || random_.chance(50)) continue;
      const std::uint64_t first = random_.below(all.size());
      const std::uint64_t count = random_.between(1, std::min<std::uint64_t>(
                                                         all.size() - first, 20));
      for (std::uint64_t i = first; i < first + count; ++i) {
        all[i] = static_cast<float>(random_.below(64)) - 20;
      }
      txn.range(handles[at], {first}, std::span(all).subspan(first, count));
    }
  }

  void take_step() {
    const auto choice = random_.below(10);
    if (choice == 0 && held_.size() < 6) {
      held_.push_back({engine_->snapshot(), recipes_, handles_, expected()});
      return;
    }
    if (choice == 1 && !held_.empty()) {
      const auto which = static_cast<std::ptrdiff_t>(random_.below(held_.size()));
      const held_snapshot& held = held_[static_cast<std::size_t>(which)];
      compare(held.now, held.recipes, held.handles, held.expected);
      held_.erase(held_.begin() + which);
      return;
    }
    const auto recipes = recipes_;
    const auto handles = handles_;
    const auto values = values_;
    const auto lengths = lengths_;
    begun_.clear();
    auto txn = engine_->begin();
    const std::uint64_t edits = random_.chance(30) ? 0 : random_.between(1, 4);
    for (std::uint64_t i = 0; i < edits; ++i) {
      edit(txn);
      if (!follow()) break;
    }
    const bool fits = follow();
    if (fits) write(txn, recipes_, handles_, values_);
    fails_ = random_.chance(15);
    const auto done = std::move(txn).commit();
    fails_ = false;
    changes += edits != 0;
    if (done) {
      ASSERT_TRUE(fits) << "a graph that does not fit is refused";
      move_delays();
    } else {
      const bool by_host = done.error().code() == status_code::operator_failed;
      ASSERT_TRUE(!fits || by_host) << done.error().message();
      (by_host ? failed : refused) += 1;
      recipes_ = recipes;
      handles_ = handles;
      values_ = values;
      lengths_ = lengths;
    }
    check();
  }

  /// One epoch on.
  void move_delays() {
    image moved;
    for (std::uint32_t at = 0; at < recipes_.size(); ++at) {
      const recipe& r = recipes_[at];
      if (!r.is_live || r.form != kind::delayed) continue;
      std::vector<float>& now = moved[at];
      if (!begun_.contains(at)) now = last_.at(r.reads[0]);
      now.resize(r.length, r.factor);
    }
    delays_ = std::move(moved);
  }

  /// What an engine opened with these definitions has.
  image expected() {
    recomputing_ = true;
    model fresh;
    std::vector<array<float>> handles(recipes_.size());
    for (std::uint32_t at = 0; at < recipes_.size(); ++at) {
      if (recipes_[at].is_live) handles[at] = put(fresh, at, recipes_, handles, false);
    }
    recomputing_ = false;
    engine scratch = opened(fresh);
    auto txn = scratch.begin();
    for (const auto& [at, all] : values_) txn.range(handles[at], {}, all);
    for (const auto& [at, all] : delays_) txn.range(handles[at], {}, all);
    committed(std::move(txn));
    image found;
    const auto now = scratch.snapshot();
    for (std::uint32_t at = 0; at < recipes_.size(); ++at) {
      if (recipes_[at].is_live) found[at] = values_of(now, handles[at]);
    }
    return found;
  }

  void compare(const snapshot& now, const std::vector<recipe>& recipes,
               const std::vector<array<float>>& handles, const image& expected) {
    for (std::uint32_t at = 0; at < recipes.size(); ++at) {
      const auto found = now.fetch(handles[at]);
      ASSERT_EQ(static_cast<bool>(found), recipes[at].is_live) << "array " << at;
      if (!found) continue;
      const std::vector<float>& want = expected.at(at);
      ASSERT_EQ(found->size(), want.size()) << "array " << at << ", kind "
                                            << static_cast<int>(recipes[at].form);
      std::vector<float> got(want.size());
      found->copy_to(got);
      ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0)
          << "array " << at << ", kind " << static_cast<int>(recipes[at].form);
    }
  }

  void check() {
    last_ = expected();
    ASSERT_NO_FATAL_FAILURE(compare(engine_->snapshot(), recipes_, handles_, last_));
    for (std::uint32_t at = 0; at < recipes_.size(); ++at) {
      if (!recipes_[at].is_live || recipes_[at].name.empty()) continue;
      const auto found = engine_->find<float>(recipes_[at].name);
      ASSERT_TRUE(found) << found.error().message();
      ASSERT_EQ(found->id(), handles_[at].id());
    }
    expect_glued(*engine_);
  }

  dice random_;
  readers mode_;
  std::array<std::uint64_t, 2> lengths_{300, 1100};
  std::vector<recipe> recipes_;
  std::vector<array<float>> handles_;
  image values_;
  image delays_;                   ///< what delays hold
  image last_;                     ///< all arrays, at the last epoch
  std::set<std::uint32_t> begun_;  ///< delays that the transaction at hand defines
  bool recomputing_ = false;
  unsigned names_ = 0;
  bool fails_ = false;
  std::optional<engine> engine_;
  std::vector<held_snapshot> held_;
};
std::uint64_t program::changes = 0;
std::uint64_t program::refused = 0;
std::uint64_t program::failed = 0;

TEST(RandomGraphs, HaveTheBitsOfAnEngineOpenedFromScratchAfterEveryChange) {
  const char* said = std::getenv("SHEAF_SEED");
  const std::uint64_t first = said == nullptr ? 1 : std::strtoull(said, nullptr, 10);
  for (std::uint64_t seed = first; seed < first + (said == nullptr ? 120 : 1); ++seed) {
    SCOPED_TRACE(testing::Message() << "SHEAF_SEED=" << seed);
    program(seed, both_modes[seed % 2]).run();
    if (testing::Test::HasFailure()) return;
  }
  if (said != nullptr) return;
  EXPECT_GT(program::changes, 1000u);
  EXPECT_GT(program::refused, 20u);
  EXPECT_GT(program::failed, 20u);
}

}  // namespace
