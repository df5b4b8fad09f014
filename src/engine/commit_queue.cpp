#include "engine/commit_queue.hpp"

#include <thread>

#include <sheaf/base/assert.hpp>

#include "base/pause.hpp"

namespace sheaf::inline v0 {

namespace {

/// A group takes one to a few microseconds. On few cores a follower looks about as long before it
/// sleeps; where cores are spare it looks longer, because waking a thread of an idle core costs
/// tens of microseconds, of the leader's time too.
constexpr int spins_on_few_cores = 256;
constexpr int spins_on_many_cores = 4096;
constexpr unsigned few_cores = 4;

int spins_before_sleep() noexcept {
  static const int spins = std::thread::hardware_concurrency() > few_cores ? spins_on_many_cores
                                                                           : spins_on_few_cores;
  return spins;
}

}  // namespace

bool commit_queue::take() noexcept {
  // relaxed: a look before the exchange, which alone decides.
  return held_.load(std::memory_order_relaxed) == 0 && held_.exchange(1) == 0;
}

void commit_queue::push(commit_request& request) noexcept {
  request.is_queued = true;
  request.next = pushed_.load(std::memory_order_relaxed);  // the exchange below checks it
  while (!pushed_.compare_exchange_weak(request.next, &request)) {
  }
}

/// What was pushed goes behind the requests that are in order already, oldest first.
void commit_queue::drain() noexcept {
  if (pushed_.load(std::memory_order_relaxed) == nullptr) return;  // `leave` looks once more
  commit_request* newest = pushed_.exchange(nullptr);
  if (newest == nullptr) return;
  commit_request* oldest = nullptr;
  for (commit_request* at = newest; at != nullptr;) {
    commit_request* older = at->next;
    __builtin_prefetch(at->changes);  // another thread wrote it; wanted soon
    at->next = oldest;
    oldest = at;
    at = older;
  }
  (first_ == nullptr ? first_ : last_->next) = oldest;
  last_ = newest;
}

/// Takes a request of the caller's own out of the order.
void commit_queue::remove(commit_request& request) noexcept {
  commit_request* before = nullptr;
  for (commit_request** link = &first_; *link != nullptr; link = &(*link)->next) {
    if (*link == &request) {
      *link = request.next;
      if (last_ == &request) last_ = before;
      return;
    }
    before = *link;
  }
  SHEAF_ASSERT(false, "requests-in-order");
}

bool commit_queue::has_waiting() noexcept {
  drain();
  return first_ != nullptr && !first_->is_exclusive;
}

commit_group commit_queue::take_group(std::uint32_t count_max) noexcept {
  drain();
  commit_group group{first_, nullptr};
  commit_request* last = nullptr;
  std::uint32_t count = 0;
  // A change of the graph is a group by itself.
  for (; first_ != nullptr && !first_->is_exclusive && count < count_max; ++count) {
    if (last != nullptr && (first_->edit != nullptr || last->edit != nullptr)) break;
    last = first_;
    first_ = first_->next;
  }
  if (last == nullptr) return {};
  last->next = nullptr;
  if (first_ == nullptr) last_ = nullptr;
  return group;
}

bool commit_queue::enter(commit_request& mine) noexcept {
  if (!mine.is_queued) {
    if (take()) {
      // In order behind what was pushed before.
      drain();
      mine.is_queued = true;
      mine.next = nullptr;
      (first_ == nullptr ? first_ : last_->next) = &mine;
      last_ = &mine;
      return true;
    }
    push(mine);
  }
  return wait(mine) == commit_request::leading;
}

/// Waits until `mine` is done or has the turn.
std::uint32_t commit_queue::wait(commit_request& mine) noexcept {
  // seq_cst, see invariant 3. Where the turn is taken now, its holder will find the request.
  if (mine.state.load() == commit_request::waiting && held_.load() == 0 && take()) {
    return commit_request::leading;
  }
  for (int spin = 0, spins = spins_before_sleep(); spin < spins; ++spin) {
    // acquire: pairs with the exchange in `wake`; the outcome is visible with it.
    const std::uint32_t state = mine.state.load(std::memory_order_acquire);
    if (state == commit_request::done) return state;
    if (state == commit_request::leading) {
      mine.state.store(commit_request::waiting, std::memory_order_relaxed);  // its own again
      return commit_request::leading;
    }
    pause_briefly();
  }
  std::uint32_t state = commit_request::waiting;
  while (state != commit_request::done && state != commit_request::leading) {
    if (state == commit_request::waiting &&
        !mine.state.compare_exchange_strong(state, commit_request::asleep)) {
      continue;
    }
    if (take()) {
      // Whoever changed the word meanwhile had the turn before and has given it up.
      state = commit_request::asleep;
      if (mine.state.compare_exchange_strong(state, commit_request::waiting) ||
          state == commit_request::done) {
        return commit_request::leading;
      }
      SHEAF_ASSERT(false, "turn-has-one-holder");
    }
    mine.state.wait(commit_request::asleep);
    state = mine.state.load();
  }
  if (state == commit_request::leading) {
    mine.state.store(commit_request::waiting, std::memory_order_relaxed);  // its own again
  }
  return state;
}

/// The request may be gone as soon as its word is written; waking needs its address alone.
void commit_queue::wake(commit_request& request, std::uint32_t state) noexcept {
  std::atomic<std::uint32_t>& word = request.state;
  if (word.exchange(state) == commit_request::asleep) word.notify_one();
}

void commit_queue::complete(const commit_group& group, const commit_request* mine) noexcept {
  for (commit_request* at = group.first; at != group.end;) {
    commit_request* next = at->next;
    if (at == mine) {
      at->state.store(commit_request::done, std::memory_order_relaxed);  // the caller's own
    } else {
      wake(*at, commit_request::done);
    }
    at = next;
  }
}

void commit_queue::pass_to_first() noexcept {
  commit_request& next = *first_;
  if (next.is_exclusive) {
    first_ = next.next;
    if (first_ == nullptr) last_ = nullptr;
    next.is_queued = false;
  }
  wake(next, commit_request::leading);
}

void commit_queue::leave() noexcept {
  do {
    drain();
    if (first_ != nullptr) return pass_to_first();
    held_.store(0);
    // Who pushed before this look found the turn taken, and may be asleep by now.
  } while (pushed_.load() != nullptr && take());
}

void commit_queue::lock() noexcept {
  if (take()) return;
  commit_request mine;
  mine.is_exclusive = true;
  push(mine);
  (void)wait(mine);
  // Passed on, it is out of the order already.
  if (!mine.is_queued) return;
  drain();
  remove(mine);
}

}  // namespace sheaf::inline v0
