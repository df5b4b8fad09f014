#include "device/host_device.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <sheaf/base/assert.hpp>

#include "cuda/propagate/bodies.hpp"
#include "cuda/propagate/marked_part.hpp"
#include "cuda/propagate/stage_records.hpp"

namespace sheaf::inline v0 {

/// A plan, its pages and marks in host memory.
struct device_context {
  std::vector<std::vector<std::byte>> sections;
  std::vector<device_section> places;
  device_plan plan{};
  std::vector<std::uint32_t> frames, list, count, pulled;
  std::vector<line_mask> todo, changed;
  struct alignas(line_size) line {
    std::byte bytes[line_size];
  };
  std::vector<line> memory[page_class_count];
  run_state state{};
  std::vector<line_record> pages_out;
  std::vector<line> lines_out;
  device_figures figures{};
  bool lost = false;
  std::uint32_t next_stage = 0;  ///< not 0: a commit has begun and not come to its last stage
};

}  // namespace sheaf::inline v0

namespace sheaf_test {

using namespace sheaf;

namespace {

device_code say(device_error* why, device_code code, const char* text) {
  if (why != nullptr) {
    why->code = code;
    std::snprintf(why->text, sizeof why->text, "%s", text);
  }
  return code;
}

/// What the next call does instead of its work, if anything.
device_code fault_of(device_context& device, device_error* why) {
  host_device_faults& faults = faults_of_host_devices();
  if (!device.lost && faults.calls_until_lost != ~std::uint64_t{0} &&
      faults.calls_until_lost-- == 0) {
    faults.calls_until_lost = ~std::uint64_t{0};
    device.lost = true;
  }
  if (device.lost) return say(why, device_code::lost, "the device is lost, as asked");
  if (faults.calls_until_out_of_memory != ~std::uint64_t{0} &&
      faults.calls_until_out_of_memory-- == 0) {
    faults.calls_until_out_of_memory = ~std::uint64_t{0};
    return say(why, device_code::out_of_memory, "no memory, as asked");
  }
  return device_code::ok;
}

std::uint32_t count_devices(device_error* why) {
  const std::uint32_t count = faults_of_host_devices().device_count;
  if (count == 0) say(why, device_code::absent, "no device, as asked");
  return count;
}
device_code describe(std::uint32_t, device_info* into, device_error*) {
  *into = {};
  std::snprintf(into->name, sizeof into->name, "loops of the host");
  return device_code::ok;
}
device_code open_device(const device_settings*, device_context** made, device_error*) {
  *made = new device_context;
  return device_code::ok;
}
void close_device(device_context* device) { delete device; }

std::byte* page_of(device_context& device, std::uint32_t slot, page_class size) {
  return device.state.pages.page(slot, size);
}
page_class class_of(const device_plan& plan, std::uint32_t slot) {
  // Any reader or writer of the slot knows it; a device keeps it beside its page table.
  const std::uint32_t producer = plan.slots[slot].producer;
  if (producer < plan.header->source_count) return page_class{plan.source_pages[producer]};
  return plan.operations[plan.nodes[producer - plan.header->source_count].operation].page;
}

device_code load_plan(device_context* device, const device_section* sections,
                      std::uint32_t section_count, device_error* why) {
  if (const device_code fault = fault_of(*device, why); fault != device_code::ok) return fault;
  if (section_count != plan_section_count) {
    return say(why, device_code::invalid, "a plan of another form");
  }
  device_context& d = *device;
  d.sections.clear();
  d.places.clear();
  for (std::uint32_t i = 0; i < section_count; ++i) {
    const auto* data = static_cast<const std::byte*>(sections[i].data);
    d.sections.emplace_back(data, data + sections[i].bytes);
    d.places.push_back({d.sections.back().data(), sections[i].bytes});
  }
  d.plan = device_plan_at(d.places.data());
  const device_plan_header& header = *d.plan.header;
  d.frames.assign(header.slot_count, 0);
  std::uint32_t next[page_class_count] = {};
  for (std::uint32_t slot = 0; slot < header.slot_count; ++slot) {
    d.frames[slot] = next[static_cast<unsigned>(class_of(d.plan, slot))]++;
  }
  for (unsigned i = 0; i < page_class_count; ++i) {
    d.memory[i].assign(header.pages_of_class[i] << i, {});
    d.state.pages.base[i] = reinterpret_cast<std::byte*>(d.memory[i].data());
  }
  d.list.assign(d.places[static_cast<std::uint32_t>(plan_section::batch_slots)].bytes / 4, 0);
  d.count.assign(header.batch_count, 0);
  d.pulled.assign(header.level_count, 0);
  d.todo.assign(header.slot_count, 0);
  d.changed.assign(header.slot_count, 0);
  d.state.pages.frames = d.frames.data();
  d.state.todo = d.todo.data();
  d.state.changed = d.changed.data();
  d.state.list = d.list.data();
  d.state.count = d.count.data();
  d.state.pulled = d.pulled.data();
  d.next_stage = 0;
  return device_code::ok;
}

/// Writes the lines of a record; `notes`: those that differ are noted as changed.
device_code write_lines(device_context& device, const device_record& what, bool notes,
                        device_error* why) {
  std::uint64_t lines = 0;
  for (std::uint32_t i = 0; i < what.page_count; ++i) {
    const line_record& page = what.pages[i];
    if (page.slot >= device.plan.header->slot_count) {
      return say(why, device_code::invalid, "a record names a slot that is not there");
    }
    lines += line_count(page.lines);
    if ((page.lines & ~first_lines(lines_in(class_of(device.plan, page.slot)))) != 0) {
      return say(why, device_code::invalid, "a record names lines past the end of a page");
    }
  }
  if (lines != what.line_count) return say(why, device_code::invalid, "a record of another length");
  const std::byte* from = what.lines;
  for (std::uint32_t i = 0; i < what.page_count; ++i) {
    const line_record& record = what.pages[i];
    std::byte* const page = page_of(device, record.slot, class_of(device.plan, record.slot));
    if (notes) device.changed[record.slot] |= record.lines;
    for_each_line(record.lines, [&](unsigned line) {
      std::byte* const to = page + line * line_size;
      std::memcpy(to, from, line_size);
      from += line_size;
    });
  }
  return device_code::ok;
}

/// As many as spread a few marked pages over several parts, and many over one.
constexpr std::uint64_t warps_of_host = 64;

template <class Body, element T>
void run_marked_parts(device_context& device, const device_batch& batch, const batch_run& run) {
  const unsigned shift = parts_shift_of(batch.page, run.count, warps_of_host);
  for (std::uint64_t unit = 0; unit < std::uint64_t{run.count} << shift; ++unit) {
    const marked_part part = part_of(device.plan, device.state, batch, run, unit, shift);
    if (part.asked == 0) continue;
    const plan_node& node = node_of_slot(device.plan, part.slot);
    const element_source from{device.plan, device.state, node,
                              device.plan.operations[node.operation]};
    line_mask changed = 0;
    for (line_mask left = part.asked; left != 0; left = without_first(left)) {
      std::uint32_t differs = 0;
      for (unsigned lane = 0; lane < unit_lanes; ++lane) {
        differs |= std::uint32_t{run_marked_lane<Body, T>(from, part, left, lane)} << lane;
      }
      changed |= differing_lines(left, differs);
    }
    for (unsigned lane = 0; lane < unit_lanes; ++lane) {
      end_part(device.plan, device.state, run, part, changed, lane);
    }
  }
}

template <class Body, element T>
void run_units(device_context& device, const device_batch& batch, const batch_run& run) {
  if (run.how == level_pull::full) {
    for (std::uint64_t unit = 0; unit < full_unit_count(batch.page, run.count); ++unit) {
      for (unsigned lane = 0; lane < unit_lanes; ++lane) {
        full_lane<Body, T>(device.plan, device.state, batch, run, unit, lane);
      }
    }
    return;
  }
  if (run.how == level_pull::marked && lines_in(batch.page) >= unit_lines) {
    run_marked_parts<Body, T>(device, batch, run);
    return;
  }
  const std::uint64_t units = unit_count(batch.page, run.count);
  for (std::uint64_t unit = 0; unit < units; ++unit) {
    lane_place places[unit_lanes];
    std::uint32_t differs = 0;
    for (unsigned lane = 0; lane < unit_lanes; ++lane) {
      const bool is_new =
          begin_lane<Body, T>(device.plan, device.state, batch, run, unit, lane, places[lane]);
      differs |= std::uint32_t{is_new} << lane;
    }
    for (unsigned lane = 0; lane < unit_lanes; ++lane) {
      end_lane(device.plan, device.state, batch, run, places[lane], lane, differs);
    }
  }
}

void run_levels(device_context& device, const device_stage& stage) {
  const device_plan& plan = device.plan;
  for (std::uint32_t index = stage.batch_begin; index < stage.batch_end; ++index) {
    const device_batch& batch = plan.batches[index];
    const batch_run run = run_of(plan, device.state, index);
    flag_readers(plan, device.state, index, run);
    if (run.count == 0) continue;
    visit_body(batch.kind, batch.semiring, batch.type,
               [&]<class Body, element T>() { run_units<Body, T>(device, batch, run); });
  }
}

/// Makes everything ready for the next commit.
void forget_marks(device_context& device) {
  std::ranges::fill(device.todo, 0);
  std::ranges::fill(device.changed, 0);
  std::ranges::fill(device.count, 0);
  std::ranges::fill(device.pulled, 0);
  device.next_stage = 0;
}

/// Gathers what a stage changed.
void collect(device_context& device, const device_stage& stage, device_record& out) {
  device.pages_out.clear();
  device.lines_out.clear();
  for (std::uint32_t i = stage.slot_begin; i < stage.slot_end; ++i) {
    const std::uint32_t slot = device.plan.batch_slots[i];
    const line_mask lines = device.changed[slot];
    const device_slot& known = device.plan.slots[slot];
    if (lines == 0) continue;
    device.pages_out.push_back({slot, 0, lines});
    if (!known.is_observed) continue;
    const std::byte* page = page_of(device, slot, class_of(device.plan, slot));
    for_each_line(lines, [&](unsigned line) {
      std::memcpy(device.lines_out.emplace_back().bytes, page + line * line_size, line_size);
    });
  }
  out = {device.pages_out.data(), reinterpret_cast<const std::byte*>(device.lines_out.data()),
         static_cast<std::uint32_t>(device.pages_out.size()),
         static_cast<std::uint32_t>(device.lines_out.size())};
}

device_code write(device_context* device, const device_record* what, device_error* why) {
  if (const device_code fault = fault_of(*device, why); fault != device_code::ok) return fault;
  return write_lines(*device, *what, false, why);
}

void mark_sources(device_context& d, const device_record& what) {
  const level_pull how = pull_after_sources(d.plan, what.page_count, what.line_count);
  if (how != level_pull::marked) {
    flag_level(d.plan, d.state, 0, how);
    return;
  }
  for (std::uint32_t i = 0; i < what.page_count; ++i) {
    const std::uint32_t slot = what.pages[i].slot;
    if (d.changed[slot] != 0) push(d.plan, d.state, slot, d.changed[slot], 0, 1);
  }
}
void mark_host_run(device_context& d, std::uint32_t stage) {
  for (std::uint32_t i = 0; i < d.plan.header->level_count; ++i) no_longer_full(d.state, i);
  const host_slot_range sent = host_slots_between(d.plan, d.next_stage - 1, stage);
  for (std::uint32_t i = sent.begin; i < sent.end; ++i) {
    const std::uint32_t slot = d.plan.host_slots[i];
    if (d.changed[slot] != 0) push(d.plan, d.state, slot, d.changed[slot], 0, 1);
  }
}

device_code commit(device_context* device, std::uint32_t stage, const device_record* what,
                   device_record* changed, device_error* why) {
  if (const device_code fault = fault_of(*device, why); fault != device_code::ok) return fault;
  device_context& d = *device;
  if (stage >= d.plan.header->stage_count || (stage != 0 && stage < d.next_stage) ||
      (stage != 0 && d.next_stage == 0) || !is_of_stage(d.plan, stage, *what)) {
    return say(why, device_code::invalid, "a record of another stage");
  }
  if (stage == 0 && d.next_stage != 0) forget_marks(d);
  if (const device_code code = write_lines(d, *what, true, why); code != device_code::ok) {
    return code;
  }
  if (stage == 0) mark_sources(d, *what);
  else mark_host_run(d, stage);
  run_levels(d, d.plan.stages[stage]);
  collect(d, d.plan.stages[stage], *changed);
  d.next_stage = stage + 1;
  d.figures.commits += stage == 0;
  if (d.next_stage == d.plan.header->stage_count) {
    SHEAF_ASSERT(std::ranges::count(d.todo, 0) == std::ssize(d.todo), "device-marks-are-gone");
    forget_marks(d);
  }
  return device_code::ok;
}

device_code recompute(device_context* device, device_error* why) {
  if (const device_code fault = fault_of(*device, why); fault != device_code::ok) return fault;
  device_context& d = *device;
  if (d.plan.header->host_node_count != 0) {
    return say(why, device_code::unsupported, "the host computes a part of the plan");
  }
  for (std::uint32_t slot = 0; slot < d.plan.header->slot_count; ++slot) {
    const std::uint32_t producer = d.plan.slots[slot].producer;
    if (producer < d.plan.header->source_count) continue;
    const plan_node& node = node_of_slot(d.plan, slot);
    d.todo[slot] = lines_of_result(d.plan.operations[node.operation], d.plan.slots[slot].page);
  }
  std::ranges::fill(d.pulled, 1);
  run_levels(d, d.plan.stages[0]);
  forget_marks(d);
  return device_code::ok;
}

device_code read(device_context* device, const std::uint32_t* slots, std::uint32_t count,
                 std::byte* into, device_error* why) {
  if (const device_code fault = fault_of(*device, why); fault != device_code::ok) return fault;
  for (std::uint32_t i = 0; i < count; ++i) {
    const page_class size = class_of(device->plan, slots[i]);
    std::memcpy(into, page_of(*device, slots[i], size), bytes_of(size));
    into += bytes_of(size);
  }
  return device_code::ok;
}
void figures(device_context* device, device_figures* into) { *into = device->figures; }

constexpr device_ops table = {device_ops_version,
                              sizeof(device_ops),
                              count_devices,
                              describe,
                              open_device,
                              close_device,
                              load_plan,
                              write,
                              commit,
                              recompute,
                              read,
                              figures};

}  // namespace

host_device_faults& faults_of_host_devices() noexcept {
  static host_device_faults faults;
  return faults;
}
const device_ops* host_device_ops() noexcept { return &table; }

}  // namespace sheaf_test
