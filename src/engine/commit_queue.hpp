/// \file
/// The queue of transactions that want to commit, and the turn: at most one thread at a time
/// commits or touches what the committer owns.
///
/// Terms
///   turn        the right to use the committer's state. A word, not a thread's lock: whoever holds
///               it may pass it to another thread, or let another thread end it.
///   leader      a committing thread that holds the turn and commits a group for all its members.
///   exclusive   a request for the turn that commits nothing (`lock`): statistics, audit, close.
///
/// The life of a request
/// | from            | to      | when                                   | by                    |
/// |-----------------|---------|----------------------------------------|-----------------------|
/// | new             | leading | nobody has the turn                    | its owner             |
/// | new             | waiting | it was pushed                          | its owner             |
/// | waiting         | asleep  | it span long enough                    | its owner             |
/// | waiting, asleep | leading | the turn was free, or was passed to it | its owner, the holder |
/// | any             | done    | a leader committed or refused it       | the leader            |
///
/// Invariants
///  1. `turn-has-one-holder`: `held_` is set from a successful `take` until `leave`; passing it on
///     never clears it.
///  2. `requests-in-order`: a group is a run of requests in the order in which they were pushed.
///  3. Nobody waits while the turn is free and his request is queued: an owner pushes it, then
///     looks at the turn, and once more before it sleeps; a holder frees the turn, then looks at
///     the queue (all `seq_cst`). Otherwise an owner that waits looks at its own word alone.
///  4. The holder of the turn touches no request after it was marked done: it may be gone.
///
/// Thread safety: everything from any thread, as the annotations say.
/// Cost: with nobody else about, entering and leaving are two atomic exchanges, about 15 ns.
#pragma once

#include <atomic>
#include <cstdint>

#include <sheaf/base/id.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/base/mutex.hpp>
#include <sheaf/base/status.hpp>

namespace sheaf::inline v0 {

class delta;
class model;
struct commit_condition;
struct generation;
struct read_set;
struct tag_store;

/// What a committing thread hands in: lies on its stack until it is done.
struct commit_request {
  enum state_word : std::uint32_t { waiting, asleep, leading, done };

  /// Alone on its line: its owner looks at it all the time, while the leader writes to the others.
  alignas(interference_size) std::atomic<std::uint32_t> state{waiting};

  // Of the queue.
  alignas(interference_size) commit_request* next = nullptr;
  bool is_exclusive = false;
  bool is_queued = false;  ///< pushed, or in order

  // Of the transaction.
  delta* changes = nullptr;
  model* edit = nullptr;             ///< the graph as the transaction wants it, or null
  const generation* base = nullptr;  ///< what its calls were checked against; null: it made none
  std::uint64_t begin_epoch = 0;
  const read_set* reads = nullptr;  ///< settled; null: nothing to validate
  const tag_store* tag = nullptr;
  const commit_condition* condition = nullptr;

  // Of the leader: members that were accepted, in order, and the place of this one.
  commit_request* next_accepted = nullptr;
  std::uint32_t place = 0;

  // What became of it, for its owner once it is done.
  status outcome;
  std::uint64_t epoch = 0;
};

/// Requests from `first` along `next`, up to and without `end`.
struct commit_group {
  commit_request* first = nullptr;
  commit_request* end = nullptr;

  [[nodiscard]] bool is_empty() const noexcept { return first == end; }
  [[nodiscard]] bool is_single() const noexcept { return !is_empty() && first->next == end; }
  template <class Visitor>
  void for_each(Visitor&& visitor) const {
    for (commit_request* at = first; at != end; at = at->next) visitor(*at);
  }
};

/// The members of a group that were not refused, in order: what becomes one epoch.
struct accepted_group {
  commit_request* first = nullptr;
  commit_request* last = nullptr;
  std::uint32_t count = 0;

  void add(commit_request& member) noexcept {
    member.next_accepted = nullptr;
    member.place = count++;
    (first == nullptr ? first : last->next_accepted) = &member;
    last = &member;
  }
  /// The member looked at may be put into another group: the way on was read before.
  class iterator {
   public:
    explicit iterator(commit_request* at) noexcept : at_(at), next_(next_of(at)) {}
    commit_request& operator*() const noexcept { return *at_; }
    iterator& operator++() noexcept {
      at_ = next_;
      next_ = next_of(at_);
      return *this;
    }
    bool operator==(const iterator& other) const noexcept { return at_ == other.at_; }

   private:
    static commit_request* next_of(const commit_request* at) noexcept {
      return at == nullptr ? nullptr : at->next_accepted;
    }
    commit_request* at_;
    commit_request* next_;
  };
  [[nodiscard]] iterator begin() const noexcept { return iterator(first); }
  [[nodiscard]] iterator end() const noexcept { return iterator(nullptr); }
};

class SHEAF_CAPABILITY("turn") commit_queue {
 public:
  commit_queue() = default;
  commit_queue(const commit_queue&) = delete;
  commit_queue& operator=(const commit_queue&) = delete;

  /// Hands in `mine` (again, where it led before it was done). True: the caller has the turn and
  /// leads. False: it is done.
  [[nodiscard]] bool enter(commit_request& mine) noexcept SHEAF_TRY_ACQUIRE(true);
  /// The next group of at most `count_max` transactions in order; empty where none waits or an
  /// exclusive request is due.
  [[nodiscard]] commit_group take_group(std::uint32_t count_max) noexcept SHEAF_REQUIRES(this);
  /// True where `take_group` would find something.
  [[nodiscard]] bool has_waiting() noexcept SHEAF_REQUIRES(this);
  /// Ends the turn: passes it to the first request that waits, or frees it.
  void leave() noexcept SHEAF_RELEASE();
  /// Marks the members done and wakes them; `mine`, the caller's own, needs no waking.
  static void complete(const commit_group& group, const commit_request* mine) noexcept;

  /// The turn for something else than a commit, in order with the commits that wait.
  void lock() noexcept SHEAF_ACQUIRE();
  [[nodiscard]] bool try_lock() noexcept SHEAF_TRY_ACQUIRE(true) { return take(); }
  void unlock() noexcept SHEAF_RELEASE() { leave(); }

 private:
  [[nodiscard]] bool take() noexcept;
  void push(commit_request& request) noexcept;
  void drain() noexcept;
  void remove(commit_request& request) noexcept;
  void pass_to_first() noexcept;
  [[nodiscard]] std::uint32_t wait(commit_request& mine) noexcept;
  static void wake(commit_request& request, std::uint32_t state) noexcept;

  alignas(interference_size) std::atomic<std::uint32_t> held_{0};
  alignas(interference_size) std::atomic<commit_request*> pushed_{nullptr};  ///< newest first
  // Of the holder of the turn.
  alignas(interference_size) commit_request* first_ = nullptr;  ///< oldest first
  commit_request* last_ = nullptr;
};

class SHEAF_SCOPED_CAPABILITY turn_lock {
 public:
  explicit turn_lock(commit_queue& held) noexcept SHEAF_ACQUIRE(held) : held_(held) {
    held_.lock();
  }
  ~turn_lock() SHEAF_RELEASE() { held_.unlock(); }
  turn_lock(const turn_lock&) = delete;
  turn_lock& operator=(const turn_lock&) = delete;

 private:
  commit_queue& held_;
};

}  // namespace sheaf::inline v0
