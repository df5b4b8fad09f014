/// \file
/// The device an engine propagates on: opened once, used by the executor of the newest graph.
///
/// Invariants
///  1. `device-lost-is-for-good`: after a call said `lost` no call is made any more.
///  2. `device-all-or-told`: after any failure the pages on the device count as unknown: the plan
///     is loaded anew before it is used again, where it may be.
///
/// Thread safety: all but `state` by who commits; `state` from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <sheaf/base/mutex.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

enum class device_state : std::uint8_t {
  ready,
  refused,  ///< has no body for something in the graph, or no memory: the next graph may fit
  lost,     ///< for good
};

class device_link {
 public:
  /// `ops` stays valid for ever. Opens device `settings.index`. `automatic`: commits run there only
  /// where that is expected to be faster.
  [[nodiscard]] static result<std::shared_ptr<device_link>> open(const device_ops& ops,
                                                                 const device_settings& settings,
                                                                 bool automatic);
  ~device_link();
  device_link(const device_link&) = delete;
  device_link& operator=(const device_link&) = delete;

  [[nodiscard]] bool is_automatic() const noexcept { return is_automatic_; }
  [[nodiscard]] device_state state() const noexcept {
    return state_.load(std::memory_order_acquire);  // pairs with `note`
  }
  /// Why it is not ready, in words; else the name of the device and what runs beside it.
  [[nodiscard]] std::string words() const;
  /// What of the graph runs on the host beside it, in words; empty: nothing.
  void say_beside(std::string words) noexcept;
  /// Notes why a graph does not run on it.
  void refuse(const status& why) noexcept;

  [[nodiscard]] bool load_plan(const device_section* sections) noexcept;
  /// Which load was the last one: what was loaded before is not there any more.
  [[nodiscard]] std::uint64_t load_number() const noexcept { return load_number_; }
  [[nodiscard]] bool write(const device_record& what) noexcept;
  [[nodiscard]] bool commit(std::uint32_t stage, const device_record& what,
                            device_record& changed) noexcept;
  [[nodiscard]] device_figures figures() const noexcept;
  /// Another graph is about to be loaded: what was refused may fit now.
  void forget_refusal() noexcept;

 private:
  device_link(const device_ops& ops, device_context* device, const device_info& info,
              bool automatic);
  /// True for `ok`; else says what became of the device.
  bool note(device_code code, const device_error& why) noexcept;

  const device_ops& ops_;
  device_context* device_;
  const bool is_automatic_;
  std::uint64_t load_number_ = 0;
  std::atomic<device_state> state_{device_state::ready};
  mutable mutex mutex_;
  std::string name_;
  std::string reason_ SHEAF_GUARDED_BY(mutex_);
  std::string beside_ SHEAF_GUARDED_BY(mutex_);
};

}  // namespace sheaf::inline v0
