/// \file
/// Frames that are free for the host and may still be read by the device, in order of the epoch at
/// which they were freed.
///
/// Invariants
///  1. `retire-in-order`: epochs never fall from one `retire` to the next.
///  2. `room-before-retire`: `reserve` made room for every frame there is, so `retire` takes no
///     memory (a frame is in the queue at most once).
///  3. Where more than `epochs_max` epochs are waited for, the newest are waited for together:
///     frames come back later, never too early.
///
/// Thread safety: none; one owner. It learns of the device by an epoch_word.
/// Cost: a few instructions a frame.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <sheaf/base/assert.hpp>

namespace sheaf::inline v0 {

class retire_queue {
 public:
  static constexpr std::uint32_t epochs_max = 64;

  /// Room for `frames` frames. Throws std::bad_alloc with nothing changed.
  void reserve(std::uint32_t frames) {
    if (frames <= ring_.size()) return;
    std::vector<std::uint32_t> larger(frames);
    for (std::uint64_t i = begin_; i != end_; ++i) larger[i - begin_] = ring_[i % ring_.size()];
    const std::uint64_t moved = begin_;
    for (std::uint32_t i = 0; i < mark_count_; ++i) mark(i).end -= moved;
    end_ -= moved;
    begin_ = 0;
    ring_.swap(larger);
  }

  /// `frame` was freed by `epoch`: nothing the device does for later epochs touches it.
  void retire(std::uint32_t frame, std::uint64_t epoch) noexcept {
    SHEAF_ASSERT(size() < ring_.size(), "room-before-retire");
    SHEAF_ASSERT(mark_count_ == 0 || epoch >= mark(mark_count_ - 1).epoch, "retire-in-order");
    ring_[end_++ % ring_.size()] = frame;
    if (mark_count_ == 0 ||
        (mark(mark_count_ - 1).epoch != epoch && mark_count_ < epochs_max)) {
      ++mark_count_;
    }
    mark(mark_count_ - 1) = {epoch, end_};
  }

  /// Hands out, oldest first, every frame freed by an epoch up to `finished`.
  template <class Visitor>
  std::uint32_t collect(std::uint64_t finished, Visitor&& visitor) noexcept {
    const std::uint64_t before = begin_;
    while (mark_count_ != 0 && mark(0).epoch <= finished) {
      for (; begin_ != mark(0).end; ++begin_) visitor(ring_[begin_ % ring_.size()]);
      first_mark_ = (first_mark_ + 1) % epochs_max;
      --mark_count_;
    }
    return static_cast<std::uint32_t>(begin_ - before);
  }

  template <class Visitor>
  void for_each(Visitor&& visitor) const {
    for (std::uint64_t i = begin_; i != end_; ++i) visitor(ring_[i % ring_.size()]);
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return end_ - begin_; }

 private:
  struct epoch_mark {
    std::uint64_t epoch;
    std::uint64_t end;  ///< position after its last frame
  };
  [[nodiscard]] epoch_mark& mark(std::uint32_t index) noexcept {
    return marks_[(first_mark_ + index) % epochs_max];
  }

  std::vector<std::uint32_t> ring_;
  std::uint64_t begin_ = 0, end_ = 0;  ///< positions; modulo the ring's size, places
  std::array<epoch_mark, epochs_max> marks_{};
  std::uint32_t first_mark_ = 0, mark_count_ = 0;
};

}  // namespace sheaf::inline v0
