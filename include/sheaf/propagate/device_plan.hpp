/// \file
/// A plan as a device reads it: arrays of plain data that name each other by index, so that the
/// same bytes serve on the host and, copied, on any device.
///
/// Terms
///   section  one of the arrays, by its number.
///   batch    the pages of one level that one kernel computes: nodes of equal kind, semiring, type
///            and page class.
///   words    one array of all index tables; a table is a place in it.
///   host-run a node whose operator has no body on a device. Its pages have slots and frames like
///            any other, but it is in no batch: the host computes them and writes them here.
///   stage    the levels a device runs before the host runs the next host-run nodes. A node is in
///            the first stage that comes after all it reads. Where there is more than one stage,
///            a level is the nodes of one level of the plan that are in one stage.
///
/// Invariants
///  1. Slots, nodes and operands are those of the plan (plan.hpp), lazy nodes left out; children
///     too, host-run ones left out.
///  2. Batches are in the order of levels, levels in that of stages; `batch_slots` of a batch rise.
///
/// Thread safety: constant data.
#pragma once

#include <cstdint>

#include <sheaf/graph/line_program.hpp>
#include <sheaf/graph/plan.hpp>
#include <sheaf/graph/shapes.hpp>
#include <sheaf/memory/device_ops.hpp>

namespace sheaf::inline v0 {

/// Order matters: it is the form of `load_plan`.
enum class plan_section : std::uint32_t {
  header,             ///< one device_plan_header
  nodes,              ///< plan_node, eager ones
  operands,           ///< u32
  details,            ///< plan_operand
  operations,         ///< plan_operation
  child_begin,        ///< u32, per producer plus one
  children,           ///< device_child
  constants,          ///< u64, of weights
  slots,              ///< device_slot, by slot
  levels,             ///< device_level; [0] the sources
  consumers,          ///< u32, levels
  batches,            ///< device_batch
  batch_slots,        ///< u32
  batch_of_node,      ///< u32
  words,              ///< u32
  tables,             ///< device_table
  code,               ///< instruction
  program_constants,  ///< u64
  programs,           ///< device_program
  matrices,           ///< device_matrix
  stencils,           ///< device_stencil
  taps,               ///< stencil_tap
  dense,              ///< dense_shape
  lengths,            ///< u64, elements of each producer's array
  source_pages,       ///< u8, page_class of each source
  stages,             ///< device_stage
  host_slots,         ///< u32, slots of host-run nodes that are read here, stage by stage
};
inline constexpr std::uint32_t plan_section_count = 27;

struct device_plan_header {
  std::uint32_t slot_count;
  std::uint32_t source_count;
  std::uint32_t node_count;
  std::uint32_t level_count;  ///< level 0, the sources, too
  std::uint32_t batch_count;
  std::uint32_t source_page_count;
  std::uint32_t stage_count;      ///< at least 1
  std::uint32_t host_node_count;  ///< host-run ones
  std::uint64_t source_line_count;              ///< lines with elements
  std::uint64_t pages_of_class[page_class_count];  ///< frames it needs
};

/// What one slot is.
struct device_slot {
  std::uint32_t producer;
  std::uint32_t page : 30;        ///< of the producer's array
  std::uint32_t is_observed : 1;  ///< its changed lines go back with each commit
  std::uint32_t reserved : 1;
};

/// A node that reads a producer, with what marking it takes.
struct device_child {
  std::uint32_t node : 31;
  std::uint32_t is_uniform : 1;  ///< page p of the producer reaches page p of the node
  std::uint32_t slot;            ///< of the node's first page
  std::uint32_t batch;
  std::uint32_t list_begin;      ///< of that batch
};
static_assert(sizeof(device_child) == 16);

struct device_level {
  std::uint32_t batch_begin, batch_end;
  std::uint32_t consumer_begin, consumer_end;  ///< into `consumers`: levels that read this one
};

/// Levels [level_begin, level_end). Where host-run nodes are all that is behind the sources, none.
struct device_stage {
  std::uint32_t level_begin, level_end;
  std::uint32_t batch_begin, batch_end;
  std::uint32_t slot_begin, slot_end;  ///< into `batch_slots`: what it computes
  std::uint32_t host_begin, host_end;  ///< into `host_slots`: what the host computes behind it
};

struct device_batch {
  operator_kind kind;
  dtype type;  ///< of the result
  semiring_id semiring;
  page_class page;  ///< of the result
  bool uniform;     ///< as plan_operation
  bool weighted;
  std::uint8_t reserved[2];
  std::uint32_t level;
  std::uint32_t begin;     ///< into `batch_slots`, and of its list of marked slots
  std::uint32_t count;     ///< pages
  std::uint32_t fan_in;    ///< operands of every node, where all have as many; else 0
  std::uint32_t manifest;  ///< program: compiled body of the shape all share, or no_index
};

/// An index_table as places in `words`; `no_words` where there is none.
inline constexpr std::uint64_t no_words = ~std::uint64_t{0};
struct device_table {
  std::uint64_t offsets, indices, reach_offsets, reach_elements;
};
struct device_matrix {
  std::uint64_t columns, rows;
  std::uint64_t offsets, indices, reach_offsets, reach_rows;
};
struct device_stencil {
  std::uint64_t rows, columns;
  std::uint64_t outside;  ///< bit pattern
  std::uint32_t tap_begin, tap_count;
  /// The box around all taps and the element itself.
  std::int32_t row_first, row_last, column_first, column_last;
  boundary edge;
};
struct device_program {
  std::uint32_t code_begin, code_count;
  std::uint32_t constant_begin, constant_count;
  std::uint32_t operand_count, register_count;
};

/// The sections as typed pointers, wherever they lie.
struct device_plan {
  const device_plan_header* header;
  const plan_node* nodes;
  const std::uint32_t* operands;
  const plan_operand* details;
  const plan_operation* operations;
  const std::uint32_t* child_begin;
  const device_child* children;
  const std::uint64_t* constants;
  const device_slot* slots;
  const device_level* levels;
  const std::uint32_t* consumers;
  const device_batch* batches;
  const std::uint32_t* batch_slots;
  const std::uint32_t* batch_of_node;
  const std::uint32_t* words;
  const device_table* tables;
  const instruction* code;
  const std::uint64_t* program_constants;
  const device_program* programs;
  const device_matrix* matrices;
  const device_stencil* stencils;
  const stencil_tap* taps;
  const dense_shape* dense;
  const std::uint64_t* lengths;
  const std::uint8_t* source_pages;
  const device_stage* stages;
  const std::uint32_t* host_slots;
};

/// The plan whose sections lie at `sections`, `plan_section_count` of them, in order.
[[nodiscard]] inline device_plan device_plan_at(const device_section* sections) noexcept {
  device_plan made{};
  const auto set = [&]<class T>(plan_section which, const T*& pointer) {
    pointer = static_cast<const T*>(sections[static_cast<std::uint32_t>(which)].data);
  };
  set(plan_section::header, made.header);
  set(plan_section::nodes, made.nodes);
  set(plan_section::operands, made.operands);
  set(plan_section::details, made.details);
  set(plan_section::operations, made.operations);
  set(plan_section::child_begin, made.child_begin);
  set(plan_section::children, made.children);
  set(plan_section::constants, made.constants);
  set(plan_section::slots, made.slots);
  set(plan_section::levels, made.levels);
  set(plan_section::consumers, made.consumers);
  set(plan_section::batches, made.batches);
  set(plan_section::batch_slots, made.batch_slots);
  set(plan_section::batch_of_node, made.batch_of_node);
  set(plan_section::words, made.words);
  set(plan_section::tables, made.tables);
  set(plan_section::code, made.code);
  set(plan_section::program_constants, made.program_constants);
  set(plan_section::programs, made.programs);
  set(plan_section::matrices, made.matrices);
  set(plan_section::stencils, made.stencils);
  set(plan_section::taps, made.taps);
  set(plan_section::dense, made.dense);
  set(plan_section::lengths, made.lengths);
  set(plan_section::source_pages, made.source_pages);
  set(plan_section::stages, made.stages);
  set(plan_section::host_slots, made.host_slots);
  return made;
}

}  // namespace sheaf::inline v0
