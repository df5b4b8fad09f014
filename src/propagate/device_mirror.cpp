#include "propagate/device_mirror.hpp"

#include <algorithm>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

/// Pages are loaded by parts of about so many lines.
constexpr std::size_t load_lines = std::size_t{1} << 18;

}  // namespace

device_mirror::device_mirror(std::shared_ptr<device_link> link,
                             std::unique_ptr<const device_sections> sections,
                             const page_class* page_of_slot)
    : link_(std::move(link)),
      sections_(std::move(sections)),
      page_of_slot_(page_of_slot),
      stale_(sections_->view().header->slot_count),
      stale_lines_(
          std::make_unique<line_mask[]>(std::max(sections_->view().header->slot_count, 1u))) {}

std::unique_ptr<device_mirror> device_mirror::create(std::shared_ptr<device_link> link,
                                                     const plan& graph,
                                                     const page_class* page_of_slot) {
  link->forget_refusal();
  auto sections = device_sections::of(graph, {});
  if (!sections) {
    link->refuse(sections.error());
    return nullptr;
  }
  return std::unique_ptr<device_mirror>(
      new device_mirror(std::move(link), std::move(*sections), page_of_slot));
}

device_record device_mirror::pack(const frame_store& frames,
                                  const std::vector<line_record>& pages) {
  lines_.clear();
  for (const line_record& page : pages) {
    const std::byte* const from = frames.current(page.slot, page_of_slot_[page.slot]);
    for_each_line(page.lines, [&](unsigned at) {
      std::memcpy(lines_.emplace_back().bytes, from + at * line_size, line_size);
    });
  }
  return {pages.data(), reinterpret_cast<const std::byte*>(lines_.data()),
          static_cast<std::uint32_t>(pages.size()), static_cast<std::uint32_t>(lines_.size())};
}

bool device_mirror::write(const frame_store& frames, const std::vector<line_record>& pages) {
  return link_->write(pack(frames, pages));
}

/// Everything but the lines that the commit in hand will bring.
bool device_mirror::load(const frame_store& frames) {
  const device_plan plan = sections_->view();
  if (!link_->load_plan(sections_->sections().data())) return false;
  stale_.drain([&](std::uint32_t slot) { stale_lines_[slot] = 0; });
  stale_count_ = 0;
  std::size_t lines = 0;
  older_.clear();
  std::size_t next = 0;
  for (std::uint32_t slot = 0; slot < plan.header->slot_count; ++slot) {
    line_mask whole = first_lines(lines_of(page_of_slot_[slot]));
    if (next < pages_.size() && pages_[next].slot == slot) whole &= ~pages_[next++].lines;
    if (whole == 0) continue;
    older_.push_back({slot, 0, whole});
    lines += line_count(whole);
    if (lines < load_lines) continue;
    if (!write(frames, older_)) return false;
    older_.clear();
    lines = 0;
  }
  return older_.empty() || write(frames, older_);
}

/// What host commits changed since the device last ran.
bool device_mirror::catch_up(const frame_store& frames) {
  stale_count_ = 0;
  older_.clear();
  std::size_t next = 0;
  stale_.drain([&](std::uint32_t slot) {
    line_mask lines = std::exchange(stale_lines_[slot], 0);
    while (next < pages_.size() && pages_[next].slot < slot) ++next;
    if (next < pages_.size() && pages_[next].slot == slot) lines &= ~pages_[next].lines;
    if (lines != 0) older_.push_back({slot, 0, lines});
  });
  return older_.empty() || write(frames, older_);
}

bool device_mirror::run_pages(const frame_store& frames, device_record& changed) {
  const bool was_loaded = std::exchange(is_loaded_, false);
  if (!(was_loaded ? catch_up(frames) : load(frames))) return false;
  if (!link_->commit(pack(frames, pages_), changed)) return false;
  is_loaded_ = true;
  return true;
}

}  // namespace sheaf::inline v0
