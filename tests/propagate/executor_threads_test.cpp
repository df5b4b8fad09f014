/// \file
/// Levels that run on several threads: how they are cut, and that every thread gets its part.
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <sheaf/graph/operator_registry.hpp>

#include "propagate/level_pool.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {
namespace {

using namespace std::chrono_literals;

/// Threads that run a body at once: each waits until enough have come. Only where they do not come
/// at all does one give up, for all.
class meeting {
 public:
  void open(unsigned guests) {
    const std::lock_guard lock(mutex_);
    guests_ = guests;
    threads_.clear();
  }
  void attend() {
    std::unique_lock lock(mutex_);
    if (guests_ == 0) return;
    threads_.insert(std::this_thread::get_id());
    const auto is_complete = [&] { return guests_ <= threads_.size(); };
    if (!arrived_.wait_for(lock, 10s, is_complete)) guests_ = 0;
    arrived_.notify_all();
  }
  /// Lets nobody wait any more; returns how many came.
  std::size_t close() {
    const std::lock_guard lock(mutex_);
    guests_ = 0;
    return threads_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  unsigned guests_ = 0;
  std::set<std::thread::id> threads_;
};

meeting& the_meeting() {
  static meeting only;
  return only;
}

/// An operator that meets, and doubles.
struct met {
  static constexpr operator_id id{"test.met", 1};
};

void meet_and_double(std::byte* to, const std::byte* const* from, std::uint32_t lines) {
  the_meeting().attend();
  for (std::size_t at = 0; at < lines * line_size; at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, from[0] + at, sizeof value);
    value += value;
    std::memcpy(to + at, &value, sizeof value);
  }
}

double two_roundings(double a, double b, double c) {
  const volatile double product = a * b;
  return product + c;
}

const operator_kernels met_on_f32[] = {{dtype::f32, {meet_and_double, nullptr, nullptr}}};

bool has_two_processors() {
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

/// How a propagation is asked for.
enum class way { whole, until_a_far_time, without_a_time };

work_counters propagate(rig& r, way how) {
  if (how == way::whole) return r.propagate();
  using clock = std::chrono::steady_clock;
  const auto until = how == way::without_a_time ? clock::time_point::max() : clock::now() + 1h;
  r.frames().begin_commit(r.epoch() + 1, 0);
  const auto ran = r.run().propagate_until(until);
  EXPECT_TRUE(ran && *ran == progress::done);
  r.run().finish(false);
  return r.run().take_counters();
}

/// A wide level of `pages` pages of eight lines, of which one line in every `step`th page changes.
void expect_both_threads_at_work(unsigned pages, unsigned step, way how,
                                 std::uint64_t work_counters::* direction) {
  SCOPED_TRACE(testing::Message() << pages << " pages, way " << static_cast<int>(how));
  constexpr unsigned per_page = 512 / sizeof(float);
  model m;
  const auto x = m.source<float>("x", pages * per_page, {.page = page_class::b512});
  const auto y = m.derive("y", apply<met>(x), {.page = page_class::b512});
  rig r(m, 2, isa::scalar);
  for (unsigned page = 0; page < pages; page += step) r.set(x, page * per_page, 1.5f);
  the_meeting().open(2);
  const work_counters work = propagate(r, how);
  EXPECT_EQ(the_meeting().close(), 2u) << "one thread ran all of the level";
  EXPECT_EQ(work.*direction, 1u);
  EXPECT_EQ(work.lines_recomputed, pages / step);
  EXPECT_EQ(r.values(y)[(pages - step) * per_page], 3.0f);
  r.expect_glued();
}

TEST(ExecutorThreads, AWideLevelGoesToBoth) {
  if (!has_two_processors()) GTEST_SKIP() << "one processor runs one thread at a time";
  ASSERT_TRUE(register_operator({met::id, 1, met_on_f32, {two_roundings, nullptr, nullptr}})
                  .is_ok());
  for (const way how : {way::whole, way::until_a_far_time, way::without_a_time}) {
    // A thousand pages are the sixteen words of a level that just runs on threads.
    expect_both_threads_at_work(1024, 1, how, &work_counters::levels_pulled);
    expect_both_threads_at_work(4096, 4, how, &work_counters::levels_pushed);
  }
}

/// A level of a thousand small pages is sixteen words: they must not all go to one thread.
TEST(LevelPool, CutsALevelIntoEightRangesForEachThread) {
  EXPECT_EQ(words_per_part(16, 2), 1u);
  EXPECT_EQ(words_per_part(1, 4), 1u);
  EXPECT_EQ(words_per_part(1600, 2), 100u);
  EXPECT_EQ(words_per_part(1601, 2), 101u);
  level_pool pool(2);
  std::atomic<unsigned> ranges{0}, words{0};
  struct counts {
    std::atomic<unsigned>& ranges;
    std::atomic<unsigned>& words;
  } seen{ranges, words};
  pool.run(0, 16, words_per_part(16, 2), &seen,
           [](void* context, unsigned, std::uint32_t begin, std::uint32_t end) {
             ++static_cast<counts*>(context)->ranges;
             static_cast<counts*>(context)->words += end - begin;
           });
  EXPECT_GE(ranges.load(), 2u);
  EXPECT_EQ(words.load(), 16u);
}

}  // namespace
}  // namespace propagate_test
