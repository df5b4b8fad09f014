/// \file
/// The host's side of small commits: cards of the loaded plan, pinned room for what changed, and
/// whether a commit is worth trying as a small one.
///
/// Thread safety: one thread at a time. Cost: 64 B of the device a slot, where that is at most a
/// sixteenth of the pages or 64 MiB; a commit that one block does not finish has cost one launch
/// and one wait more, so after it the next ones are not tried: one, then two, up to 1024.
#pragma once

#include <optional>

#include "cuda/propagate/plan_memory.hpp"
#include "cuda/propagate/small_commit.hpp"

namespace sheaf::inline v0 {

class small_runner {
 public:
  explicit small_runner(device_context& device) noexcept : device_(device) {}
  ~small_runner();
  small_runner(const small_runner&) = delete;
  small_runner& operator=(const small_runner&) = delete;

  /// Makes the cards of a plan that was just loaded; none where there is no memory for them.
  device_code load(plan_memory& memory, device_error* why);
  /// No plan is loaded any more; nor does the device work.
  void give_back() noexcept;
  /// True where a commit of this record is to be tried.
  [[nodiscard]] bool wants(const device_record& what) noexcept;
  /// Writes `what` and propagates. `changed`: what changed so far, in memory of this object until
  /// the next call. With `is_finished` false, marks and changed lines are left in `run_state`. A
  /// bad record is `invalid` and changes nothing.
  /// `ended`, where it is not null, is recorded behind the launch.
  device_code run(const device_record& what, cudaEvent_t ended, device_record& changed,
                  bool& is_finished, device_error* why) noexcept;

 private:
  device_code wait_for_outcome(device_error* why) noexcept;
  [[nodiscard]] device_code pack(const device_record& what, device_error* why) noexcept;

  device_context& device_;
  const plan_memory* memory_ = nullptr;
  std::optional<sourced_block> cards_;
  small_commit args_{};
  std::byte* pinned_ = nullptr;
  bool has_cards_ = false;
  std::uint32_t skip_ = 0;  ///< commits not to be tried any more
  std::uint32_t next_skip_ = 1;
};

}  // namespace sheaf::inline v0
