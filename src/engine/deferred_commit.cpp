#include "engine/deferred_commit.hpp"

#include <sched.h>

#include <system_error>

#include <sheaf/engine/pending_commit.hpp>

namespace sheaf::inline v0 {

namespace {

/// A sleeper may wake this much late (the system's timer slack and a switch of threads), so the
/// last stretch of a wait is a spin.
constexpr auto spin_time = std::chrono::microseconds(120);

status no_commit() {
  return status(status_code::closed, subsystem::engine, "the object stands for no commit");
}

}  // namespace

void deferred_commit::finish() noexcept {
  if (request.outcome.is_ok()) {
    number.store(request.epoch, std::memory_order_relaxed);  // ordered by the store below
  }
  txn.end();
  const std::lock_guard lock(mutex);
  state.store(done, std::memory_order_release);  // pairs with `is_done`
  changed.notify_all();
}

bool deferred_commit::wait_until(clock::time_point until) noexcept {
  const bool is_endless = until == clock::time_point::max();
  if (is_endless || until - clock::now() > spin_time) {
    std::unique_lock lock(mutex);
    const auto finished = [this] { return is_done(); };
    if (is_endless) changed.wait(lock, finished);
    else changed.wait_until(lock, until - spin_time, finished);
  }
  while (!is_done()) {
    if (clock::now() >= until) return false;
    std::this_thread::yield();
  }
  return true;
}

commit_finisher::~commit_finisher() {
  if (shared_ == nullptr) return;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->is_ending = true;
  }
  shared_->changed.notify_one();
  if (thread_.get_id() == std::this_thread::get_id()) thread_.detach();
  else thread_.join();
}

status commit_finisher::start() noexcept {
  const std::lock_guard lock(start_mutex_);
  if (shared_ != nullptr) return {};
  try {
    auto made = std::make_shared<shared>();
    thread_ = std::thread([made] { run(made); });
    shared_ = std::move(made);
  } catch (const std::system_error& refused) {
    return make_status(status_code::out_of_memory, subsystem::engine,
                       "no thread for commits with a time budget", "%s", refused.what());
  } catch (const std::bad_alloc&) {
    return status(status_code::out_of_memory, subsystem::engine,
                  "no memory for commits with a time budget");
  }
  return {};
}

void commit_finisher::hand_over(work how, void* context,
                                std::shared_ptr<deferred_commit> commit) noexcept {
  commit->how = how;
  commit->context = context;
  {
    const std::lock_guard lock(shared_->mutex);
    deferred_commit* const last = commit.get();
    (shared_->first == nullptr ? shared_->first : shared_->last->next) = std::move(commit);
    shared_->last = last;
  }
  shared_->changed.notify_one();
}

void commit_finisher::run(const std::shared_ptr<shared>& with) {
  // Woken, it must not take the core from the thread whose budget has just passed. Only a wish.
  const sched_param batch{};
  (void)sched_setscheduler(0, SCHED_BATCH, &batch);
  for (;;) {
    std::shared_ptr<deferred_commit> next;
    {
      std::unique_lock lock(with->mutex);
      with->changed.wait(lock, [&] { return with->is_ending || with->first != nullptr; });
      if (with->first == nullptr) return;
      next = std::move(with->first);
      with->first = std::move(next->next);
    }
    // The commit's share of the engine may be the last: it goes here, behind the call.
    deferred_commit& commit = *next;
    commit.how(commit.context, std::move(next));
  }
}

pending_commit::pending_commit() noexcept : refused_(no_commit()) {}
pending_commit::pending_commit(std::shared_ptr<deferred_commit> commit) noexcept
    : commit_(std::move(commit)) {}
pending_commit::pending_commit(const status& refused) noexcept : refused_(refused) {}
pending_commit::pending_commit(pending_commit&&) noexcept = default;
pending_commit& pending_commit::operator=(pending_commit&&) noexcept = default;
pending_commit::~pending_commit() = default;

bool pending_commit::is_done() const noexcept { return commit_ == nullptr || commit_->is_done(); }

std::optional<epoch> pending_commit::number() const noexcept {
  if (commit_ == nullptr) return std::nullopt;
  // relaxed: a number; what it stands for is read through a snapshot.
  const std::uint64_t number = commit_->number.load(std::memory_order_relaxed);
  return number == 0 ? std::nullopt : std::optional<epoch>(epoch{number});
}

result<epoch> pending_commit::wait() {
  const auto found = wait_for(std::chrono::nanoseconds::max());
  return *found;
}

std::optional<result<epoch>> pending_commit::wait_for(std::chrono::nanoseconds time) {
  if (commit_ == nullptr) {
    return result<epoch>(refused_.is_ok() ? no_commit() : refused_);
  }
  using clock = deferred_commit::clock;
  const bool is_endless = time == std::chrono::nanoseconds::max();
  if (!commit_->wait_until(is_endless ? clock::time_point::max() : clock::now() + time)) {
    return std::nullopt;
  }
  if (!commit_->request.outcome.is_ok()) return result<epoch>(commit_->request.outcome);
  return result<epoch>(epoch{commit_->number.load(std::memory_order_relaxed)});
}

}  // namespace sheaf::inline v0
