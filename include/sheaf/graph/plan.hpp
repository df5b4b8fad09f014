/// \file
/// The plan: a graph compiled for execution. Plain data that names slots and operations, never
/// pointers or frames; immutable; shared by every snapshot that uses it.
///
/// Terms
/// - *producer*: a source or a node. Producers are numbered sources first, then nodes in plan
/// order.
///  - *slot*: the index of one (array, page) in the page table. An array's pages have consecutive
///    slots. Slots are level-major: sources, then level 1, level 2, ..., then lazy arrays, so the
///    pages of a level are one range of slots and the next dirty slot tells the next dirty level.
///  - *operation*: what nodes of equal shape share. Ten thousand one-page sums are one operation.
///  - *segment*: a run of slots inside a level that is either many nodes of one page each
///    (`node_count == slot_end - slot_begin`) or the pages of one node (`node_count == 1`).
///
/// Invariants
///  1. Every operand of a node at level l is a producer of a lower level (compile checks cycles).
///  2. An eager node reads no lazy one.
///  3. `children` of a producer lists each consumer node once, eager ones only.
///
/// Cost in bytes per page-node with fan-in 4: node 12, operands 16, children 16, child_begin 4,
/// producer table 4, line mask and dirty bits 8.2: 60 (test `Plan.SchedulingMetadata...`).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sheaf/algebra/semiring.hpp>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/graph/line_program.hpp>
#include <sheaf/graph/plan_node.hpp>
#include <sheaf/graph/shapes.hpp>

namespace sheaf::inline v0 {

/// In the edge arrays of a fixpoint, at either end: the edge of this number does not exist.
inline constexpr std::uint32_t no_vertex = 0xffff'ffffu;

enum class operator_kind : std::uint8_t {
  combine,       ///< result line = left fold of semiring plus over (value [times weight])
  program,       ///< a line program
  fold_lines,    ///< result element i = lane fold of operand line i (reduce, level 0)
  fold_blocks,   ///< result element i = fold of operand elements [64 i, 64 i + 64) (reduce, above)
  segment_fold,  ///< result element i = fold of operand elements named by an index table
  gather,        ///< result element i = operand element indices[i]
  spmv,          ///< result element i = fold over the entries of row i of a sparse matrix
  gemv,          ///< result element i = row i of a dense matrix times a vector
  matmul,        ///< the product of two dense matrices
  stencil,       ///< result element i = fold over the taps around operand element i
  host,          ///< an opaque host function: whole pages, may fail
  scan_totals,   ///< result element b = fold of operand block b from its last head on
  scan,          ///< running fold inside blocks of operand 0, from the carries in operand 1
  cast,          ///< result element i = operand element i as another type of another size
  bin_counts,    ///< a row of counts for each chunk of the operand (histogram, level 0)
  row_sums,      ///< each row the sum of 64 operand rows (histogram, above)
  sorted_runs,   ///< a row of sorted entries for each chunk of the operand (sort, top_k, level 0)
  merged_runs,   ///< each row merged of two operand rows (sort, top_k, above)
  gather_at,     ///< result element i = element operand1[i] of operand 0; past its end: zero
  delay,         ///< the operand as it was one epoch before: no node, a source of the plan
  slice,         ///< result line i = operand line payload + i
  fixpoint,      ///< the least solution of a cyclic system over a semiring; may fail
};

/// How one operand meets the result.
struct plan_operand {
  std::uint32_t producer;  ///< no_index for a constant
  std::uint32_t slot;      ///< first slot of the operand array; for a constant: index in constants
  std::uint32_t element;   ///< broadcast: this element meets every result element; aligned:
                           ///< no_index
  page_class page;         ///< of the operand array
  dtype type;
  friend bool operator==(const plan_operand&, const plan_operand&) = default;
};

/// Static structure of gather and segment_fold: which operand elements make a result element, and
/// the transpose, which says what a changed operand element reaches.
struct index_table {
  std::vector<std::uint32_t> offsets;  ///< result element i reads items [offsets[i], offsets[i+1]);
                                       ///< empty for gather (one item each)
  std::vector<std::uint32_t> indices;  ///< operand element per item; empty: item j is element j
  std::vector<std::uint32_t> reach_offsets;   ///< per operand element, plus one
  std::vector<std::uint32_t> reach_elements;  ///< result elements, rising, each once
};

/// What a step of a scan is told (the order is in algebra/scan_order.hpp).
struct scan_data {
  bool exclusive = false;     ///< element i is the running value before it
  bool zero_at_heads = true;  ///< exclusive: a head gets the semiring's zero; false for carries
  /// Bit i of word b: element 64 b + i is a head. Empty: element 0 alone is one.
  std::vector<std::uint64_t> heads = {};
  friend bool operator==(const scan_data&, const scan_data&) = default;

  /// Heads of block `block`.
  [[nodiscard]] std::uint64_t heads_of(std::uint64_t block) const noexcept {
    return heads.empty() ? std::uint64_t{block == 0} : heads[block];
  }
};

/// What a step of a histogram is told.
struct histogram_data {
  std::vector<std::uint64_t> edges = {};  ///< bit patterns in the operand's type, rising
  dtype type = dtype::f32;                ///< of the values that are counted
  std::uint32_t bins = 0;                 ///< edges less one
  std::uint32_t stride = 0;               ///< elements from one row of counts to the next
  std::uint64_t chunk = 0;                ///< values a row of level 0 counts
  bool clamp = false;                     ///< values outside count in the first and the last bin
  friend bool operator==(const histogram_data&, const histogram_data&) = default;
};

/// What a step of a sort is told. Row r of a level stands for values [r * span, (r + 1) * span) and
/// holds the first `taken` of them in order, or all; rows follow each other `stride()` entries
/// apart. An entry is one word (key, then index) for values of up to 4 bytes, else two.
struct order_data {
  std::uint64_t length = 0;  ///< values in all
  std::uint64_t taken = 0;   ///< entries of the final result
  std::uint64_t span = 0;    ///< values a row of the result stands for
  dtype type = dtype::f32;   ///< of the values
  bool descending = false;
  bool is_last = false;      ///< the result is indices, not entries
  friend bool operator==(const order_data&, const order_data&) = default;

  [[nodiscard]] bool is_wide() const noexcept { return size_of(type) == 8; }
  [[nodiscard]] std::uint64_t stride() const noexcept { return span < taken ? span : taken; }
  /// Values that row `row` stands for.
  [[nodiscard]] std::uint64_t values_of(std::uint64_t row) const noexcept {
    const std::uint64_t left = length - row * span;
    return left < span ? left : span;
  }
  /// Entries of row `row`.
  [[nodiscard]] std::uint64_t entries_of(std::uint64_t row) const noexcept {
    const std::uint64_t values = values_of(row);
    return values < taken ? values : taken;
  }
  [[nodiscard]] std::uint64_t rows() const noexcept { return (length - 1) / span + 1; }
  /// Entries of all rows.
  [[nodiscard]] std::uint64_t entries() const noexcept {
    return (rows() - 1) * stride() + entries_of(rows() - 1);
  }
};

/// An edge of a fixpoint over a group of definitions.
struct fixpoint_edge {
  std::uint32_t from, to;
  std::uint64_t weight;  ///< bit pattern
  friend bool operator==(const fixpoint_edge&, const fixpoint_edge&) = default;
};
/// What a fixpoint's arrays stand for. Either its operands are base, from, to and, where weighted,
/// weight; or (`is_group`) its edges are fixed and its operands are rows of the base.
struct fixpoint_shape {
  std::uint32_t vertices = 0;
  std::uint32_t row_lines = 0;       ///< lines a vertex has in base and result
  std::uint32_t edge_capacity = 0;
  std::uint32_t iterations_max = 0;  ///< 0: one more than the vertices of a component
  bool is_weighted = false;
  bool is_group = false;
  std::vector<fixpoint_edge> edges = {};      ///< of a group
  std::vector<std::uint32_t> base_rows = {};  ///< of a group: by vertex, which operand is its base;
                                              ///< no_index: the semiring's zero
  friend bool operator==(const fixpoint_shape&, const fixpoint_shape&) = default;
};

struct plan_operation {
  operator_kind kind;
  dtype type;            ///< of the result
  semiring_id semiring;  ///< combine and the folds
  page_class page;       ///< of the result
  bool uniform;          ///< all operands aligned, of the result's page class and element size,
                         ///< none
                         ///< constant, no weights: operand entries are first slots; else indices
                         ///< into `operand_details`
  bool weighted;         ///< combine: entries are count values, then count weights
  bool lazy;
  bool fallible;         ///< may fail at run time (host functions, fixpoint)
  std::uint32_t operand_count;  ///< entries per node (2 x terms when weighted)
  std::uint32_t page_count;     ///< of the result
  std::uint64_t length;         ///< of the result, elements, at least 1
  std::uint32_t payload;        ///< program: `programs`; indexed kinds: `tables`; host: `hosts`;
                                ///< spmv: `matrices`; stencil: `stencils`; gemv, matmul: `dense`;
                                ///< scans: `scans`; bin_counts, row_sums: `histograms`;
                                ///< sorted_runs, merged_runs: `orders`; cast: type of the operand;
                                ///< fixpoint: `fixpoints`; slice: the first line
  std::uint32_t manifest;       ///< program: compiled body of this shape, or no_index
  friend bool operator==(const plan_operation&, const plan_operation&) = default;
};

struct plan_source {
  std::uint32_t slot;
  std::uint32_t page_count;
  std::uint64_t length;
  dtype type;
  page_class page;
  array_id array;
  std::uint32_t delayed = no_index;  ///< the producer it follows one epoch behind; no_index: the
                                     ///< host writes it
  std::uint64_t initial = 0;         ///< delayed: bits of every element at epoch 1
};

struct plan_segment {
  std::uint32_t slot_begin, slot_end;
  std::uint32_t node_begin, node_count;  ///< in level 0: indices into `sources`
};

/// Sums over one level; level 0 is the sources.
struct plan_level {
  std::uint32_t segment_begin, segment_end;
  std::uint32_t slot_begin, slot_end;
  std::uint64_t fan_in;        ///< sum over page-nodes of their operand count: what a pull looks at
  std::uint64_t fan_out;       ///< sum over this level's pages of their producer's children: what a
                               ///< push looks at
  std::uint32_t consumer_begin, consumer_end;  ///< into `consumers`: levels that read this one
};

struct plan {
  std::vector<plan_source> sources;
  std::vector<plan_node> nodes;                ///< eager by level, then lazy by level
  std::vector<std::uint32_t> operands;
  std::vector<plan_operand> operand_details;
  std::vector<plan_operation> operations;
  std::vector<std::uint32_t> child_begin;      ///< per producer, plus one
  std::vector<std::uint32_t> children;         ///< node indices
  std::vector<plan_level> levels;              ///< eager levels, [0] the sources
  std::vector<plan_segment> segments;
  std::vector<std::uint32_t> consumers;
  std::vector<std::uint32_t> producer_of_array;  ///< by array id; no_index where undefined
  std::vector<std::uint8_t> reaches_fallible;    ///< per source: its cone holds a fallible node
  std::vector<line_program> programs;
  std::vector<index_table> tables;
  std::vector<std::shared_ptr<const sparse_structure>> matrices;  ///< of spmv
  std::vector<std::shared_ptr<const stencil_shape>> stencils;
  std::vector<dense_shape> dense;                                 ///< of gemv and matmul
  std::vector<std::uint32_t> hosts;              ///< ids of host functions in the model
  std::vector<scan_data> scans;
  std::vector<histogram_data> histograms;
  std::vector<order_data> orders;
  /// Delayed sources; one that follows another delayed one comes before it.
  std::vector<std::uint32_t> delays;
  std::vector<fixpoint_shape> fixpoints;
  std::vector<std::uint64_t> constants;          ///< of weights, bit patterns
  std::vector<std::uint32_t> contiguous;         ///< producers whose pages lie side by side, rising
  std::uint32_t slot_count = 0;
  std::uint32_t eager_node_count = 0;

  [[nodiscard]] std::uint32_t source_count() const noexcept {
    return static_cast<std::uint32_t>(sources.size());
  }
  /// Time is part of the state: each commit, an empty one too, moves delayed arrays on by one
  /// epoch, so a group is one transaction.
  [[nodiscard]] bool has_delay() const noexcept { return !delays.empty(); }
  [[nodiscard]] bool is_source(std::uint32_t producer) const noexcept {
    return producer < source_count();
  }
  /// Elements of a producer's array.
  [[nodiscard]] std::uint64_t length_of(std::uint32_t producer) const noexcept {
    return is_source(producer) ? sources[producer].length : operation_of(node_of(producer)).length;
  }
  [[nodiscard]] std::uint32_t page_count_of(std::uint32_t producer) const noexcept {
    return is_source(producer) ? sources[producer].page_count
                               : operation_of(node_of(producer)).page_count;
  }
  [[nodiscard]] const plan_node& node_of(std::uint32_t producer) const noexcept {
    return nodes[producer - source_count()];
  }
  [[nodiscard]] const plan_operation& operation_of(const plan_node& node) const noexcept {
    return operations[node.operation];
  }
  /// Bytes the scheduler needs per page-node: everything here but tables, programs and names.
  [[nodiscard]] std::size_t scheduling_bytes() const noexcept;
};

}  // namespace sheaf::inline v0
