/// \file
/// Runs the commits of one executor on a device: keeps the device's pages up to date with the
/// host's, hands over what changed in the sources, and gives back what changed behind them.
///
/// The host's frames are complete after every commit, whoever ran it. So a device that fails in the
/// middle of one has changed nothing that matters: the executor runs the same commit itself.
///
/// Invariants
///  1. `device-behind-by-stale`: outside a commit a page on the device differs from the host's at
///     most in the lines of `stale_`, once the plan is loaded.
///
/// Thread safety: of who commits. Cost: 8 B a slot; O(changed lines) a commit, on top of what the
/// device takes; loading is O(state).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <sheaf/page/frame_store.hpp>
#include <sheaf/propagate/dirty_set.hpp>

#include "propagate/device_choice.hpp"
#include "propagate/device_link.hpp"
#include "propagate/device_sections.hpp"

namespace sheaf::inline v0 {

class device_mirror {
 public:
  /// Null where the device has no body for something in `graph`; the link then says why. Throws
  /// std::bad_alloc.
  [[nodiscard]] static std::unique_ptr<device_mirror> create(std::shared_ptr<device_link> link,
                                                             const plan& graph,
                                                             const page_class* page_of_slot);

  /// True where a commit may be tried.
  [[nodiscard]] bool is_ready() const noexcept { return link_->state() == device_state::ready; }
  /// True where commits run on either side, by predicted cost.
  [[nodiscard]] bool is_automatic() const noexcept { return link_->is_automatic(); }
  [[nodiscard]] device_choice& choice() noexcept { return choice_; }
  /// Lines the device has to catch up with, those that changed twice counted twice; 0 where nothing
  /// is loaded, which happens once.
  [[nodiscard]] std::uint64_t stale_line_count() const noexcept {
    return is_loaded_ ? stale_count_ : 0;
  }
  /// `lines` of `slot` changed in a commit that ran on the host.
  void note_host_change(std::uint32_t slot, line_mask lines) noexcept {
    if (!is_loaded_) return;
    stale_count_ += line_count(lines);
    stale_lines_[slot] |= lines;
    stale_.insert(slot);
  }
  /// Runs a commit: `sources` calls its visitor with the slot and the changed lines of each source
  /// page, `frames` has all pages as they are before it, sources as they are after it. False: the
  /// device did not, and nothing came of it. May throw std::bad_alloc, with the same meaning.
  template <class Sources>
  [[nodiscard]] bool run(const frame_store& frames, Sources&& sources, device_record& changed) {
    pages_.clear();
    sources([&](std::uint32_t slot, line_mask lines) { pages_.push_back({slot, 0, lines}); });
    return run_pages(frames, changed);
  }

 private:
  device_mirror(std::shared_ptr<device_link> link, std::unique_ptr<const device_sections> sections,
                const page_class* page_of_slot);
  [[nodiscard]] bool run_pages(const frame_store& frames, device_record& changed);
  [[nodiscard]] bool catch_up(const frame_store& frames);
  [[nodiscard]] bool load(const frame_store& frames);
  [[nodiscard]] bool write(const frame_store& frames, const std::vector<line_record>& pages);
  [[nodiscard]] device_record pack(const frame_store& frames,
                                   const std::vector<line_record>& pages);

  struct alignas(line_size) line {
    std::byte bytes[line_size];
  };
  std::shared_ptr<device_link> link_;
  std::unique_ptr<const device_sections> sections_;
  const page_class* page_of_slot_;
  bool is_loaded_ = false;
  device_choice choice_;
  std::uint64_t stale_count_ = 0;
  dirty_set stale_;
  std::unique_ptr<line_mask[]> stale_lines_;  ///< by slot
  std::vector<line_record> pages_, older_;
  std::vector<line> lines_;
};

}  // namespace sheaf::inline v0
