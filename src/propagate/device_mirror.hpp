/// \file
/// Runs the commits of one executor on a device: keeps the device's pages up to date with the
/// host's, hands over what changed in the sources, and gives back what changed behind them.
///
/// The host's frames are complete after every commit, whoever ran it. So a device that fails in the
/// middle of one has changed nothing that matters: the executor runs what is left itself. Stages
/// and host-run nodes: device_stages.hpp.
///
/// Invariants
///  1. `device-behind-by-stale`: outside a commit a page on the device differs from the host's at
///     most in the lines of `stale_`, once the plan is loaded. Pages of host-run nodes that nobody
///     reads there are left out.
///
/// Thread safety: of who commits. Cost: 8 B a slot; O(changed lines) a commit, on top of what the
/// device takes; loading is O(state).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sheaf/page/frame_store.hpp>
#include <sheaf/propagate/dirty_set.hpp>

#include "propagate/device_choice.hpp"
#include "propagate/device_link.hpp"
#include "propagate/device_sections.hpp"
#include "propagate/mixed_plan.hpp"

namespace sheaf::inline v0 {

class device_mirror {
 public:
  /// Null where the device has a body for nothing in `graph`; the link then says so, and else what
  /// of it runs on the host. Throws std::bad_alloc.
  [[nodiscard]] static std::unique_ptr<device_mirror> create(std::shared_ptr<device_link> link,
                                                             const plan& graph,
                                                             const page_class* page_of_slot);

  /// True where a commit may be tried.
  [[nodiscard]] bool is_ready() const noexcept { return link_->state() == device_state::ready; }
  /// True where commits run on either side, by predicted cost.
  [[nodiscard]] bool is_automatic() const noexcept { return link_->is_automatic(); }
  [[nodiscard]] device_choice& choice() noexcept { return choice_; }
  /// Null where the device computes all of the plan.
  [[nodiscard]] const mixed_plan* mixed() const noexcept { return mixed_.get(); }
  [[nodiscard]] std::uint32_t stage_count() const noexcept {
    return mixed_ == nullptr ? 1 : mixed_->stage_count();
  }
  /// Whose page a slot is, and which.
  [[nodiscard]] const device_slot& slot(std::uint32_t slot) const noexcept {
    return sections_->view().slots[slot];
  }
  /// Lines the device has to catch up with; 0 where nothing is loaded, which happens once.
  [[nodiscard]] std::uint64_t stale_line_count() const noexcept {
    return is_loaded() ? stale_count_ : 0;
  }
  /// `lines` of `slot` changed in a commit that ran on the host, or changed there in one that was
  /// given up.
  void note_host_change(std::uint32_t slot, line_mask lines) noexcept {
    if (!is_loaded() || !is_on_device(slot)) return;
    stale_count_ += line_count(lines & ~stale_lines_[slot]);
    stale_lines_[slot] |= lines;
    stale_.insert(slot);
  }
  /// Runs a stage of a commit: `pages` calls its visitor with the slot and the changed lines of
  /// each source page (stage 0) or of each page of a host-run node that changed since the stage
  /// before; of those it takes what is read on the device. `frames` has these pages as they are
  /// now, all others as they were before the commit. False: the device did not, and nothing came of
  /// it; the commit must go on without it. May throw std::bad_alloc, with the same meaning.
  template <class Pages>
  [[nodiscard]] bool run(std::uint32_t stage, const frame_store& frames, Pages&& pages,
                         device_record& changed) {
    const bool was_loaded = is_loaded();
    is_loaded_ = false;
    pages_.clear();
    pages([&](std::uint32_t slot, line_mask lines) {
      if (is_on_device(slot)) pages_.push_back({slot, 0, lines});
    });
    return run_pages(stage, frames, was_loaded, changed);
  }

 private:
  device_mirror(std::shared_ptr<device_link> link, std::unique_ptr<const device_sections> sections,
                std::unique_ptr<const mixed_plan> mixed, const page_class* page_of_slot);
  [[nodiscard]] bool run_pages(std::uint32_t stage, const frame_store& frames, bool was_loaded,
                               device_record& changed);
  /// False also where another executor has loaded its plan since: that of a graph that did not come
  /// to be.
  [[nodiscard]] bool is_loaded() const noexcept {
    return is_loaded_ && load_number_ == link_->load_number();
  }
  /// True where the device computes or reads the page.
  [[nodiscard]] bool is_on_device(std::uint32_t at) const noexcept {
    return mixed_ == nullptr || mixed_->is_on_device(slot(at).producer);
  }
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
  std::unique_ptr<const mixed_plan> mixed_;
  const page_class* page_of_slot_;
  std::string beside_;  ///< what of the plan runs on the host, in words
  bool is_loaded_ = false;
  std::uint64_t load_number_ = 0;  ///< of the link, when it was loaded
  device_choice choice_;
  std::uint64_t stale_count_ = 0;
  dirty_set stale_;
  std::unique_ptr<line_mask[]> stale_lines_;  ///< by slot
  std::vector<line_record> pages_, older_;
  std::vector<line> lines_;
};

}  // namespace sheaf::inline v0
