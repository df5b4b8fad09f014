#include "plan_check.hpp"

#include <algorithm>
#include <set>

#include <sheaf/algebra/scan_order.hpp>

#include "declaration_state.hpp"

namespace sheaf::inline v0 {
namespace {

/// Everything is worked out again from nodes, sources and operands, in the plainest way.
class checker {
 public:
  explicit checker(const plan& checked) : plan_(checked) {}

  status run() {
    if (!check_slots()) return fault_;
    if (!check_operands()) return fault_;
    if (!check_children()) return fault_;
    if (!check_levels()) return fault_;
    if (!check_consumers()) return fault_;
    if (!check_fallible()) return fault_;
    for (std::size_t i = 0; i < plan_.operations.size(); ++i) {
      if (!payload_fits(plan_.operations[i])) return broken("no such payload", i), fault_;
    }
    for (std::size_t i = 0; i < plan_.programs.size(); ++i) {
      if (!verify(plan_.programs[i]).is_ok()) broken("a program does not verify", i);
    }
    if (!check_scans() || !check_delays() || !check_sequences()) return fault_;
    for (std::size_t i = 0; i < plan_.tables.size(); ++i) {
      if (!table_rises(plan_.tables[i])) broken("an index table does not rise", i);
    }
    return fault_;
  }

 private:
  bool broken(const char* what, std::size_t where) {
    if (fault_.is_ok()) {
      fault_ = make_status(status_code::bad_format, subsystem::graph, "a plan is not valid",
                           "%s, at %zu", what, where);
    }
    return false;
  }

  std::uint32_t producers() const {
    return static_cast<std::uint32_t>(plan_.sources.size() + plan_.nodes.size());
  }

  /// Consecutive slots in producer order; the producer tables agree.
  bool check_slots() {
    std::uint32_t slot = 0;
    for (std::size_t i = 0; i < plan_.sources.size(); ++i) {
      const plan_source& source = plan_.sources[i];
      if (source.slot != slot) return broken("a source's slots do not follow the last", i);
      if (source.page_count != page_count_of(source.length, source.type, source.page)) {
        return broken("a source's page count does not fit its length", i);
      }
      for (std::uint32_t p = 0; p < source.page_count; ++p) producer_of_slot_.push_back(
          static_cast<std::uint32_t>(i));
      slot += source.page_count;
    }
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      const plan_node& node = plan_.nodes[i];
      if (node.slot != slot) return broken("a node's slots do not follow the last", i);
      if (node.operation >= plan_.operations.size()) return broken("no such operation", i);
      const plan_operation& operation = plan_.operation_of(node);
      if (operation.lazy != (i >= plan_.eager_node_count)) return broken("lazy before eager", i);
      if (operation.page_count !=
          page_count_of(operation.length, operation.type, operation.page)) {
        return broken("an operation's page count does not fit its length", i);
      }
      producer_of_slot_.insert(producer_of_slot_.end(), operation.page_count,
                               plan_.source_count() + static_cast<std::uint32_t>(i));
      slot += operation.page_count;
    }
    if (slot != plan_.slot_count) return broken("slot_count", slot);
    std::set<std::uint32_t> named;
    for (const std::uint32_t producer : plan_.producer_of_array) {
      if (producer != no_index && (producer >= producers() || !named.insert(producer).second)) {
        return broken("producer_of_array names no producer, or one twice", producer);
      }
    }
    return named.size() == producers() || broken("a producer without array", named.size());
  }

  std::uint32_t first_slot_of(std::uint32_t producer) const {
    return plan_.is_source(producer) ? plan_.sources[producer].slot : plan_.node_of(producer).slot;
  }
  page_class page_of(std::uint32_t producer) const {
    return plan_.is_source(producer) ? plan_.sources[producer].page
                                     : plan_.operation_of(plan_.node_of(producer)).page;
  }
  std::uint64_t length_of(std::uint32_t producer) const {
    return plan_.is_source(producer) ? plan_.sources[producer].length
                                     : plan_.operation_of(plan_.node_of(producer)).length;
  }

  /// Fills `reads_` and `level_`: operands are earlier producers (invariant 1), eager ones eager
  /// (invariant 2).
  bool check_operands() {
    level_.assign(producers(), 0);
    reads_.resize(plan_.nodes.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      const plan_operation& operation = plan_.operation_of(plan_.nodes[i]);
      if (plan_.nodes[i].operand_begin != next) return broken("operand lists leave a gap", i);
      next += operation.operand_count;
      if (next > plan_.operands.size()) return broken("operands past their table", i);
      for (std::uint32_t o = 0; o < operation.operand_count; ++o) {
        if (!check_operand(i, operation, plan_.operands[plan_.nodes[i].operand_begin + o])) {
          return false;
        }
      }
    }
    return next == plan_.operands.size() || broken("operands nobody reads", next);
  }

  bool check_operand(std::size_t node, const plan_operation& operation, std::uint32_t entry) {
    std::uint32_t producer = no_index;
    if (operation.uniform) {
      if (entry >= plan_.slot_count) return broken("operand slot past the last", node);
      producer = producer_of_slot_[entry];
      if (first_slot_of(producer) != entry || page_of(producer) != operation.page ||
          length_of(producer) != operation.length) {
        return broken("a uniform operand is not aligned with the result", node);
      }
    } else {
      if (entry >= plan_.operand_details.size()) return broken("no such operand detail", node);
      const plan_operand& detail = plan_.operand_details[entry];
      producer = detail.producer;
      if (producer == no_index) {
        return detail.slot < plan_.constants.size() || broken("no such constant", node);
      }
      if (producer >= producers() || detail.slot != first_slot_of(producer) ||
          detail.page != page_of(producer)) {
        return broken("an operand detail disagrees with its producer", node);
      }
      if (detail.element != no_index && detail.element >= length_of(producer)) {
        return broken("a broadcast element past its array", node);
      }
    }
    const auto own = static_cast<std::uint32_t>(plan_.source_count() + node);
    if (producer >= own) return broken("invariant 1: an operand comes later", node);
    const bool lazy_operand =
        !plan_.is_source(producer) && plan_.operation_of(plan_.node_of(producer)).lazy;
    if (lazy_operand && !operation.lazy) return broken("invariant 2: eager over lazy", node);
    level_[own] = std::max(level_[own], level_[producer] + 1);
    reads_[node].insert(producer);
    return true;
  }

  /// Invariant 3.
  bool check_children() {
    std::vector<std::vector<std::uint32_t>> wanted(producers());
    for (std::uint32_t node = 0; node < plan_.eager_node_count; ++node) {
      for (const std::uint32_t producer : reads_[node]) wanted[producer].push_back(node);
    }
    if (plan_.child_begin.size() != producers() + std::size_t{1}) {
      return broken("child_begin has the wrong size", plan_.child_begin.size());
    }
    for (std::uint32_t producer = 0; producer < producers(); ++producer) {
      const std::uint32_t begin = plan_.child_begin[producer];
      const std::uint32_t end = plan_.child_begin[producer + 1];
      if (begin > end || end > plan_.children.size() ||
          !std::equal(plan_.children.begin() + begin, plan_.children.begin() + end,
                      wanted[producer].begin(), wanted[producer].end())) {
        return broken("invariant 3: children", producer);
      }
    }
    return plan_.child_begin.back() == plan_.children.size() ||
           broken("children nobody has", plan_.children.size());
  }

  bool check_levels() {
    std::uint32_t slot = 0;
    std::uint32_t node = 0;
    std::uint32_t segment = 0;
    for (std::uint32_t l = 0; l < plan_.levels.size(); ++l) {
      const plan_level& level = plan_.levels[l];
      if (level.slot_begin != slot || level.segment_begin != segment) {
        return broken("a level does not follow the last", l);
      }
      std::uint64_t fan_in = 0;
      std::uint64_t fan_out = 0;
      if (l == 1) node = 0;
      for (; segment < level.segment_end; ++segment) {
        const plan_segment& run = plan_.segments[segment];
        const std::uint32_t slots = run.slot_end - run.slot_begin;
        if (run.slot_begin != slot || run.node_begin != node) {
          return broken("a segment does not follow the last", segment);
        }
        if (run.node_count != slots && run.node_count != 1) {
          return broken("a segment is neither one node nor one page each", segment);
        }
        for (; slot < run.slot_end; ++slot) {
          const std::uint32_t producer = producer_of_slot_[slot];
          if (level_[producer] != l) return broken("a slot of another level", slot);
          fan_out += plan_.child_begin[producer + 1] - plan_.child_begin[producer];
          if (l != 0) fan_in += plan_.operation_of(plan_.node_of(producer)).operand_count;
        }
        node += run.node_count;
      }
      if (slot != level.slot_end) return broken("a level's slots", l);
      if (fan_in != level.fan_in || fan_out != level.fan_out) return broken("level sums", l);
    }
    if (segment != plan_.segments.size()) return broken("segments past the levels", segment);
    const std::uint32_t nodes = plan_.levels.size() > 1 ? node : 0;
    return nodes == plan_.eager_node_count || broken("eager nodes outside the levels", nodes);
  }

  bool check_consumers() {
    std::vector<std::set<std::uint32_t>> wanted(plan_.levels.size());
    for (std::uint32_t node = 0; node < plan_.eager_node_count; ++node) {
      for (const std::uint32_t producer : reads_[node]) {
        wanted[level_[producer]].insert(level_[plan_.source_count() + node]);
      }
    }
    for (std::size_t l = 0; l < plan_.levels.size(); ++l) {
      const plan_level& level = plan_.levels[l];
      if (level.consumer_begin > level.consumer_end ||
          level.consumer_end > plan_.consumers.size() ||
          !std::equal(plan_.consumers.begin() + level.consumer_begin,
                      plan_.consumers.begin() + level.consumer_end, wanted[l].begin(),
                      wanted[l].end())) {
        return broken("consumers", l);
      }
    }
    return true;
  }

  bool check_fallible() {
    std::vector<std::uint8_t> reaches(producers(), 0);
    for (std::uint32_t node = plan_.eager_node_count; node-- > 0;) {
      const std::uint32_t own = plan_.source_count() + node;
      if (plan_.operation_of(plan_.nodes[node]).fallible) reaches[own] = 1;
      for (const std::uint32_t producer : reads_[node]) reaches[producer] |= reaches[own];
    }
    reaches.resize(plan_.sources.size());
    return reaches == plan_.reaches_fallible || broken("reaches_fallible", 0);
  }

  /// Of the kinds whose shape must fit the result.
  bool payload_fits(const plan_operation& operation) const {
    const std::uint32_t at = operation.payload;
    switch (operation.kind) {
      case operator_kind::spmv:
        return at < plan_.matrices.size() &&
               plan_.matrices[at]->offsets.size() == operation.length + 1 &&
               std::ranges::is_sorted(plan_.matrices[at]->offsets);
      case operator_kind::stencil:
        return at < plan_.stencils.size() && !plan_.stencils[at]->spans.empty() &&
               plan_.stencils[at]->rows * plan_.stencils[at]->columns == operation.length;
      case operator_kind::gemv:
      case operator_kind::matmul:
        return at < plan_.dense.size() && plan_.dense[at].inner != 0 &&
               plan_.dense[at].rows * plan_.dense[at].columns == operation.length;
      default: return true;
    }
  }

  /// Totals are one per block, carries too, and every block has a word of heads.
  bool check_scans() {
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      const plan_operation& op = plan_.operation_of(plan_.nodes[i]);
      if (op.kind != operator_kind::scan && op.kind != operator_kind::scan_totals) continue;
      if (op.payload >= plan_.scans.size()) return broken("no such scan", i);
      const std::uint32_t* entries = plan_.operands.data() + plan_.nodes[i].operand_begin;
      const auto length = [&](std::uint32_t which) {
        return length_of(plan_.operand_details[entries[which]].producer);
      };
      const std::uint64_t blocks = scan_blocks_of(length(0));
      const std::vector<std::uint64_t>& heads = plan_.scans[op.payload].heads;
      if (!heads.empty() && heads.size() != blocks) return broken("heads of a scan", i);
      if (op.kind == operator_kind::scan_totals ? op.length != blocks
                                                : op.length != length(0)) {
        return broken("a scan's length", i);
      }
      if (op.operand_count > 1 ? length(1) != blocks
                               : op.kind == operator_kind::scan && blocks > 1) {
        return broken("a scan's carries", i);
      }
    }
    return true;
  }

  /// Delayed sources are listed once, before what they follow, and are as long as it.
  bool check_delays() {
    std::vector<bool> seen(plan_.sources.size(), false);
    for (const std::uint32_t source : plan_.delays) {
      if (source >= plan_.sources.size() || seen[source]) return broken("delays", source);
      const std::uint32_t followed = plan_.sources[source].delayed;
      if (followed >= producers() || length_of(followed) != plan_.sources[source].length) {
        return broken("a delay follows nothing of its length", source);
      }
      if (plan_.is_source(followed) && seen[followed]) return broken("delays' order", source);
      seen[source] = true;
    }
    for (std::size_t i = 0; i < plan_.sources.size(); ++i) {
      if (seen[i] != (plan_.sources[i].delayed != no_index)) return broken("a delay not listed", i);
    }
    return true;
  }

  /// Lengths of casts, histograms, sorts and gathers by an array.
  bool check_sequences() {
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      const plan_operation& op = plan_.operation_of(plan_.nodes[i]);
      const auto operand = [&](std::uint32_t which) -> const plan_operand& {
        return plan_.operand_details[plan_.operands[plan_.nodes[i].operand_begin + which]];
      };
      switch (op.kind) {
        case operator_kind::cast:
          if (length_of(operand(0).producer) != op.length) return broken("a cast's length", i);
          break;
        case operator_kind::gather_at:
          if (op.operand_count != 2 || length_of(operand(1).producer) != op.length ||
              operand(1).type != dtype::u32) {
            return broken("the indices of a gather", i);
          }
          break;
        case operator_kind::bin_counts:
        case operator_kind::row_sums: {
          if (op.payload >= plan_.histograms.size()) return broken("no such histogram", i);
          const histogram_data& data = plan_.histograms[op.payload];
          const bool whole_rows = op.length % data.stride == 0;
          if (op.length != data.bins && !whole_rows) return broken("rows of a histogram", i);
          break;
        }
        case operator_kind::sorted_runs:
        case operator_kind::merged_runs: {
          if (op.payload >= plan_.orders.size()) return broken("no such order", i);
          const order_data& data = plan_.orders[op.payload];
          const std::uint64_t words = data.is_last ? 1 : data.is_wide() ? 2 : 1;
          if (op.length != data.entries() * words) return broken("entries of a sort", i);
          break;
        }
        default: break;
      }
    }
    return true;
  }

  static bool table_rises(const index_table& table) {
    if (!std::ranges::is_sorted(table.offsets)) return false;
    if (table.reach_offsets.empty() || !std::ranges::is_sorted(table.reach_offsets)) return false;
    if (table.reach_offsets.front() != 0) return false;
    if (table.reach_offsets.back() != table.reach_elements.size()) return false;
    for (std::size_t line = 0; line + 1 < table.reach_offsets.size(); ++line) {
      for (std::uint32_t i = table.reach_offsets[line] + 1; i < table.reach_offsets[line + 1];
           ++i) {
        if (table.reach_elements[i - 1] >= table.reach_elements[i]) return false;
      }
    }
    return true;
  }

  const plan& plan_;
  status fault_;
  std::vector<std::uint32_t> producer_of_slot_;
  std::vector<std::uint32_t> level_;             ///< by producer
  std::vector<std::set<std::uint32_t>> reads_;   ///< by node: producers
};

}  // namespace

status check_plan(const plan& checked) { return checker(checked).run(); }

}  // namespace sheaf::inline v0
