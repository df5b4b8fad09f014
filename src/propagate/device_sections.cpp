#include "propagate/device_sections.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace sheaf::inline v0 {

namespace {

/// What nodes of one batch have in common.
using batch_key = std::tuple<operator_kind, dtype, semiring_id, page_class, bool, bool,
                             std::uint32_t, std::uint32_t>;

batch_key key_of(const plan_operation& op) {
  const bool is_combine = op.kind == operator_kind::combine;
  const bool is_program = op.kind == operator_kind::program;
  return {op.kind,
          op.type,
          op.semiring,
          op.page,
          op.uniform,
          op.weighted,
          is_combine ? op.operand_count : 0,
          is_program ? op.manifest : no_index};
}

}  // namespace

std::uint64_t device_sections::add_words(std::span<const std::uint32_t> from) {
  if (from.empty()) return no_words;
  const std::uint64_t at = words_.size();
  words_.insert(words_.end(), from.begin(), from.end());
  return at;
}

void device_sections::add_nodes(const plan& graph) {
  const std::uint32_t nodes = graph.eager_node_count;
  const std::uint32_t producers = graph.source_count() + nodes;
  nodes_.assign(graph.nodes.begin(), graph.nodes.begin() + nodes);
  operands_ = graph.operands;
  details_ = graph.operand_details;
  operations_ = graph.operations;
  constants_ = graph.constants;
  consumers_ = graph.consumers;
  for (std::uint32_t producer = 0; producer < producers; ++producer) {
    lengths_.push_back(graph.length_of(producer));
  }
  for (const plan_source& source : graph.sources) {
    source_pages_.push_back(static_cast<std::uint8_t>(source.page));
    header_.source_page_count += source.page_count;
    header_.source_line_count += ((source.length << size_shift(source.type)) - 1) / line_size + 1;
  }
  header_.source_count = graph.source_count();
  header_.node_count = nodes;
}

void device_sections::add_slots(const plan& graph, std::span<const std::uint8_t> observed) {
  const std::uint32_t producers = header_.source_count + header_.node_count;
  header_.slot_count = graph.levels.back().slot_end;
  slots_.resize(header_.slot_count);
  for (std::uint32_t producer = 0; producer < producers; ++producer) {
    const bool is_source = graph.is_source(producer);
    const std::uint32_t first =
        is_source ? graph.sources[producer].slot : graph.node_of(producer).slot;
    const page_class page =
        is_source ? graph.sources[producer].page : graph.operation_of(graph.node_of(producer)).page;
    const std::uint32_t pages = graph.page_count_of(producer);
    header_.pages_of_class[static_cast<unsigned>(page)] += pages;
    for (std::uint32_t i = 0; i < pages; ++i) {
      device_slot& slot = slots_[first + i];
      slot.producer = producer;
      slot.page = i & 0x3fff'ffffu;
      slot.is_observed = observed.empty() || observed[producer] != 0;
    }
  }
}

/// The nodes of each level, in the order of stages; where there is one stage, the plan's levels.
void device_sections::add_levels(const plan& graph, const device_stages& stages) {
  batch_of_node_.assign(header_.node_count, no_index);
  levels_.push_back({0, 0, graph.levels[0].consumer_begin, graph.levels[0].consumer_end});
  std::vector<std::uint32_t> order, level_of(header_.node_count);
  for (std::uint32_t node = 0, at = 0; node < header_.node_count; ++node) {
    while (graph.nodes[node].slot >= graph.levels[at].slot_end) ++at;
    level_of[node] = at;
    if (stages.is_host_run[node] == 0) order.push_back(node);
  }
  const auto stage_of = [&](std::uint32_t node) { return stages.stage_of_node[node]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return stage_of(a) < stage_of(b); });
  const bool keeps_levels = stages.stage_count == 1;
  auto next = order.begin();
  for (std::uint32_t stage = 0; stage < stages.stage_count; ++stage) {
    device_stage made{static_cast<std::uint32_t>(levels_.size()), 0,
                      static_cast<std::uint32_t>(batches_.size()), 0,
                      static_cast<std::uint32_t>(batch_slots_.size()), 0, 0, 0};
    const auto is_mine = [&] { return next != order.end() && stage_of(*next) == stage; };
    std::uint32_t level = 1;
    for (; keeps_levels ? level < graph.levels.size() : is_mine(); ++level) {
      if (!keeps_levels) level = level_of[*next];
      const auto first = next;
      while (is_mine() && level_of[*next] == level) ++next;
      add_batches(graph, level, std::span(first, next));
    }
    made.level_end = static_cast<std::uint32_t>(levels_.size());
    made.batch_end = static_cast<std::uint32_t>(batches_.size());
    made.slot_end = static_cast<std::uint32_t>(batch_slots_.size());
    stages_.push_back(made);
  }
  if (!keeps_levels) add_consumers(graph, stages);
  header_.level_count = static_cast<std::uint32_t>(levels_.size());
  header_.batch_count = static_cast<std::uint32_t>(batches_.size());
  header_.stage_count = stages.stage_count;
  header_.host_node_count = stages.host_node_count;
}

/// Adds a level: `nodes` of level `level` of the plan.
void device_sections::add_batches(const plan& graph, std::uint32_t level,
                                  std::span<const std::uint32_t> nodes) {
  device_level made{static_cast<std::uint32_t>(batches_.size()), 0,
                    graph.levels[level].consumer_begin, graph.levels[level].consumer_end};
  std::map<batch_key, std::vector<std::uint32_t>> nodes_of;
  for (const std::uint32_t node : nodes) {
    nodes_of[key_of(graph.operation_of(graph.nodes[node]))].push_back(node);
  }
  for (const auto& [key, alike] : nodes_of) {
    device_batch batch{};
    std::tie(batch.kind, batch.type, batch.semiring, batch.page, batch.uniform, batch.weighted,
             batch.fan_in, batch.manifest) = key;
    batch.level = static_cast<std::uint32_t>(levels_.size());
    batch.begin = static_cast<std::uint32_t>(batch_slots_.size());
    for (const std::uint32_t node : alike) {
      batch_of_node_[node] = static_cast<std::uint32_t>(batches_.size());
      const std::uint32_t pages = graph.operation_of(graph.nodes[node]).page_count;
      for (std::uint32_t i = 0; i < pages; ++i) {
        batch_slots_.push_back(graph.nodes[node].slot + i);
      }
    }
    std::sort(batch_slots_.begin() + batch.begin, batch_slots_.end());
    batch.count = static_cast<std::uint32_t>(batch_slots_.size()) - batch.begin;
    batches_.push_back(batch);
  }
  made.batch_end = static_cast<std::uint32_t>(batches_.size());
  levels_.push_back(made);
}

/// Which levels read a level, where levels are not those of the plan.
void device_sections::add_consumers(const plan& graph, const device_stages& stages) {
  std::vector<std::vector<std::uint32_t>> readers(levels_.size());
  const std::uint32_t sources = graph.source_count();
  for (std::uint32_t producer = 0; producer < sources + header_.node_count; ++producer) {
    if (producer >= sources && stages.is_host_run[producer - sources] != 0) continue;
    const std::uint32_t level =
        producer < sources ? 0 : batches_[batch_of_node_[producer - sources]].level;
    for (std::uint32_t i = graph.child_begin[producer]; i < graph.child_begin[producer + 1]; ++i) {
      const std::uint32_t batch = batch_of_node_[graph.children[i]];
      if (batch == no_index) continue;
      std::vector<std::uint32_t>& found = readers[level];
      if (found.empty() || found.back() != batches_[batch].level) {
        found.push_back(batches_[batch].level);
      }
    }
  }
  consumers_.clear();
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    std::vector<std::uint32_t>& found = readers[level];
    std::sort(found.begin(), found.end());
    levels_[level].consumer_begin = static_cast<std::uint32_t>(consumers_.size());
    consumers_.insert(consumers_.end(), found.begin(), std::unique(found.begin(), found.end()));
    levels_[level].consumer_end = static_cast<std::uint32_t>(consumers_.size());
  }
}

void device_sections::add_children(const plan& graph, const device_stages& stages) {
  const std::uint32_t producers = header_.source_count + header_.node_count;
  children_.reserve(graph.child_begin[producers]);
  for (std::uint32_t producer = 0; producer < producers; ++producer) {
    child_begin_.push_back(static_cast<std::uint32_t>(children_.size()));
    for (std::uint32_t i = graph.child_begin[producer]; i < graph.child_begin[producer + 1]; ++i) {
      const std::uint32_t node = graph.children[i];
      if (stages.is_host_run[node] != 0) continue;
      const std::uint32_t batch = batch_of_node_[node];
      device_child child{};
      child.node = node & 0x7fff'ffffu;
      child.is_uniform = graph.operation_of(graph.nodes[node]).uniform;
      child.slot = graph.nodes[node].slot;
      child.batch = batch;
      child.list_begin = batches_[batch].begin;
      children_.push_back(child);
    }
  }
  child_begin_.push_back(static_cast<std::uint32_t>(children_.size()));
}

void device_sections::add_host_slots(const plan& graph, const device_stages& stages) {
  std::vector<std::uint32_t> read_here;
  for (std::uint32_t node = 0; node < header_.node_count; ++node) {
    const std::uint32_t producer = header_.source_count + node;
    const bool is_read = child_begin_[producer] != child_begin_[producer + 1];
    if (stages.is_host_run[node] != 0 && is_read) read_here.push_back(node);
  }
  const auto stage_of = [&](std::uint32_t node) { return stages.stage_of_node[node]; };
  std::ranges::stable_sort(read_here, {}, stage_of);
  auto next = read_here.begin();
  for (std::uint32_t stage = 0; stage < stages.stage_count; ++stage) {
    stages_[stage].host_begin = static_cast<std::uint32_t>(host_slots_.size());
    for (; next != read_here.end() && stage_of(*next) == stage; ++next) {
      const plan_node& node = graph.nodes[*next];
      for (std::uint32_t page = 0; page < graph.operation_of(node).page_count; ++page) {
        host_slots_.push_back(node.slot + page);
      }
    }
    stages_[stage].host_end = static_cast<std::uint32_t>(host_slots_.size());
  }
}

void device_sections::add_tables(const plan& graph) {
  for (const index_table& table : graph.tables) {
    tables_.push_back({add_words(table.offsets), add_words(table.indices),
                       add_words(table.reach_offsets), add_words(table.reach_elements)});
  }
}

void device_sections::add_programs(const plan& graph) {
  for (const line_program& program : graph.programs) {
    const program_view view = program.view();
    programs_.push_back({static_cast<std::uint32_t>(code_.size()), view.instruction_count,
                         static_cast<std::uint32_t>(program_constants_.size()), view.constant_count,
                         view.operand_count, view.register_count});
    code_.insert(code_.end(), program.code.begin(), program.code.end());
    program_constants_.insert(program_constants_.end(), program.constants.begin(),
                              program.constants.end());
  }
}

void device_sections::add_products(const plan& graph) {
  for (const auto& matrix : graph.matrices) {
    matrices_.push_back({matrix->columns, matrix->offsets.size() - 1, add_words(matrix->offsets),
                         add_words(matrix->indices), add_words(matrix->reach_offsets),
                         add_words(matrix->reach_rows)});
  }
  for (const auto& shape : graph.stencils) {
    device_stencil made{};
    made.rows = shape->rows;
    made.columns = shape->columns;
    made.outside = shape->outside;
    made.edge = shape->edge;
    made.tap_begin = static_cast<std::uint32_t>(taps_.size());
    made.tap_count = static_cast<std::uint32_t>(shape->taps.size());
    for (const stencil_tap& tap : shape->taps) {
      made.row_first = std::min(made.row_first, tap.row);
      made.row_last = std::max(made.row_last, tap.row);
      made.column_first = std::min(made.column_first, tap.column);
      made.column_last = std::max(made.column_last, tap.column);
      taps_.push_back(tap);
    }
    stencils_.push_back(made);
  }
  dense_ = graph.dense;
}

void device_sections::point() {
  const auto set = [&](plan_section which, const auto& from) {
    sections_[static_cast<std::uint32_t>(which)] = {from.data(),
                                                    from.size() * sizeof(*from.data())};
  };
  sections_[static_cast<std::uint32_t>(plan_section::header)] = {&header_, sizeof header_};
  set(plan_section::nodes, nodes_);
  set(plan_section::operands, operands_);
  set(plan_section::details, details_);
  set(plan_section::operations, operations_);
  set(plan_section::child_begin, child_begin_);
  set(plan_section::children, children_);
  set(plan_section::constants, constants_);
  set(plan_section::slots, slots_);
  set(plan_section::levels, levels_);
  set(plan_section::consumers, consumers_);
  set(plan_section::batches, batches_);
  set(plan_section::batch_slots, batch_slots_);
  set(plan_section::batch_of_node, batch_of_node_);
  set(plan_section::words, words_);
  set(plan_section::tables, tables_);
  set(plan_section::code, code_);
  set(plan_section::program_constants, program_constants_);
  set(plan_section::programs, programs_);
  set(plan_section::matrices, matrices_);
  set(plan_section::stencils, stencils_);
  set(plan_section::taps, taps_);
  set(plan_section::dense, dense_);
  set(plan_section::lengths, lengths_);
  set(plan_section::source_pages, source_pages_);
  set(plan_section::stages, stages_);
  set(plan_section::host_slots, host_slots_);
}

std::unique_ptr<const device_sections> device_sections::of(
    const plan& graph, const device_stages& stages, std::span<const std::uint8_t> observed) {
  std::unique_ptr<device_sections> held(new device_sections);
  device_sections& made = *held;
  made.add_nodes(graph);
  made.add_slots(graph, observed);
  made.add_levels(graph, stages);
  made.add_children(graph, stages);
  made.add_host_slots(graph, stages);
  made.add_tables(graph);
  made.add_programs(graph);
  made.add_products(graph);
  made.point();
  return held;
}

}  // namespace sheaf::inline v0
