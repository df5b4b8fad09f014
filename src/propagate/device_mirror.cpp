#include "propagate/device_mirror.hpp"

#include <algorithm>
#include <cstring>

namespace sheaf::inline v0 {

namespace {

/// Pages are loaded by parts of about so many lines.
constexpr std::size_t load_lines = std::size_t{1} << 18;

std::string words_beside(const device_stages& stages, std::uint32_t nodes, const char* first) {
  return std::to_string(stages.host_node_count) + " of " + std::to_string(nodes) +
         " nodes run on the host, the first of them: " + first;
}

}  // namespace

device_mirror::device_mirror(std::shared_ptr<device_link> link,
                             std::unique_ptr<const device_sections> sections,
                             std::unique_ptr<const mixed_plan> mixed,
                             const page_class* page_of_slot)
    : link_(std::move(link)),
      sections_(std::move(sections)),
      mixed_(std::move(mixed)),
      page_of_slot_(page_of_slot),
      stale_(sections_->view().header->slot_count),
      stale_lines_(
          std::make_unique<line_mask[]>(std::max(sections_->view().header->slot_count, 1u))) {}

std::unique_ptr<device_mirror> device_mirror::create(std::shared_ptr<device_link> link,
                                                     const plan& graph,
                                                     const page_class* page_of_slot) {
  link->forget_refusal();
  const device_stages stages(graph);
  std::unique_ptr<const mixed_plan> mixed;
  std::string beside;
  if (stages.is_mixed()) {
    const char* const first =
        name_of_host_run(graph.operation_of(graph.nodes[stages.first_host_node]));
    if (stages.host_node_count == graph.eager_node_count) {
      link->refuse(make_status(status_code::unsupported, subsystem::propagate,
                               "nothing of the graph has a body on a device", "first: %s", first));
      return nullptr;
    }
    beside = words_beside(stages, graph.eager_node_count, first);
    mixed = std::make_unique<const mixed_plan>(graph, stages);
  }
  link->say_beside(beside);
  std::unique_ptr<device_mirror> made(new device_mirror(
      std::move(link), device_sections::of(graph, stages, {}), std::move(mixed), page_of_slot));
  made->beside_ = std::move(beside);
  return made;
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
  link_->say_beside(beside_);
  if (!link_->load_plan(sections_->sections().data())) return false;
  load_number_ = link_->load_number();
  stale_.drain([&](std::uint32_t slot) { stale_lines_[slot] = 0; });
  stale_count_ = 0;
  std::size_t lines = 0;
  older_.clear();
  std::size_t next = 0;
  for (std::uint32_t slot = 0; slot < plan.header->slot_count; ++slot) {
    line_mask whole = first_lines(lines_of(page_of_slot_[slot]));
    if (next < pages_.size() && pages_[next].slot == slot) whole &= ~pages_[next++].lines;
    if (whole == 0 || !is_on_device(slot)) continue;
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

bool device_mirror::run_pages(std::uint32_t stage, const frame_store& frames, bool was_loaded,
                              device_record& changed) {
  if (stage == 0 && !(was_loaded ? catch_up(frames) : load(frames))) return false;
  if (!link_->commit(stage, pack(frames, pages_), changed)) return false;
  is_loaded_ = true;
  return true;
}

}  // namespace sheaf::inline v0
