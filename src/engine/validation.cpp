/// \file
/// Whether a transaction may commit: what it wrote and read against what committed since it began.
#include <algorithm>
#include <bit>
#include <exception>
#include <new>
#include <string>

#include <sheaf/propagate/operator_scope.hpp>

#include "engine/engine_core.hpp"
#include "engine/slot_owner.hpp"
#include "engine/transaction_state.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {

status too_old(std::uint64_t begin, std::uint64_t known_since) noexcept {
  return make_status(status_code::snapshot_too_old, subsystem::engine,
                     "the transaction began before the writes the engine remembers, begin it again",
                     "it began at epoch %llu, writes are known since %llu",
                     static_cast<unsigned long long>(begin),
                     static_cast<unsigned long long>(known_since));
}

/// `, by 'who' (why)` where the winner said so, and there is memory to say it.
std::string by(const transaction_tag& tag) noexcept {
  std::string words;
  try {
    if (!tag.who.empty()) words += ", by '" + std::string(tag.who) + "'";
    if (!tag.why.empty()) words += " (" + std::string(tag.why) + ")";
  } catch (const std::bad_alloc&) {
    // The conflict itself is told all the same.
  }
  return words;
}

/// The tag of the only transaction of a record, or of the first that has one.
transaction_tag tag_of(const commit_record& record) noexcept {
  for (std::uint32_t i = 0; i < record.transaction_count(); ++i) {
    const transaction_tag tag = record.tag(i);
    if (!tag.who.empty() || !tag.why.empty()) return tag;
  }
  return {};
}

}  // namespace

/// Whether `member` may join the group behind `before`. Writes are judged against everything in
/// front of it. Reads are judged against what was published; where they meet a write that is not
/// yet, the group ends, and they are judged by what it changed.
engine_core::verdict engine_core::judge(const commit_request& member,
                                        const accepted_group& before) {
  if (before.count != 0) {
    // A change of the graph is an epoch of its own, and so is each where there are delays.
    if (member.condition != nullptr || member.edit != nullptr || before.first->edit != nullptr ||
        now_->graph->has_delay()) {
      return {.why = {}, .is_cut = true};
    }
    if (member.reads != nullptr && reads_what_is_pending(*member.reads, before)) {
      ++groups_cut_;
      return {.why = {}, .is_cut = true};
    }
  }
  verdict found{.why = judge_graph(member), .is_cut = false};
  if (found.why.is_ok()) found.why = judge_writes(member);
  try {
    if (found.why.is_ok() && member.reads != nullptr) found.why = judge_reads(*member.reads);
  } catch (const std::bad_alloc&) {
    found.why = status(status_code::out_of_memory, subsystem::engine,
                       "no memory to look at what the transaction read");
  }
  if (found.why.is_ok() && member.condition != nullptr) found.why = ask(*member.condition);
  return found;
}

status engine_core::judge_writes(const commit_request& member) const {
  if (member.changes->is_empty() || window_.newest() <= member.begin_epoch) return {};
  if (member.begin_epoch < window_.complete_since()) {
    return too_old(member.begin_epoch, window_.complete_since());
  }
  const write_conflict found = window_.find(*member.changes, member.begin_epoch);
  if (found.epoch == 0) return {};
  const std::uint64_t found_end = found.first + found.count;
  return make_status(status_code::conflict, subsystem::engine,
                     "another transaction wrote the same elements first, begin again",
                     "elements [%llu, %llu) of '%s', written at epoch %llu, begun at %llu%s",
                     static_cast<unsigned long long>(found.first),
                     static_cast<unsigned long long>(found_end),
                     now_->declared->name_of(found.array).c_str(),
                     static_cast<unsigned long long>(found.epoch),
                     static_cast<unsigned long long>(member.begin_epoch),
                     by(records_.find(found.epoch).tag(found.writer)).c_str());
}

status engine_core::judge_reads(const read_set& reads) const {
  if (now_->first_epoch > reads.epoch) {
    return make_status(status_code::conflict, subsystem::engine,
                       "the graph changed after the transaction read, begin again",
                       "read at epoch %llu, the graph is of epoch %llu",
                       static_cast<unsigned long long>(reads.epoch),
                       static_cast<unsigned long long>(now_->first_epoch));
  }
  const auto may_have_changed = [&](const read_page& page) {
    return records_.may_have_changed(page.slot, reads.epoch);
  };
  if (std::none_of(reads.pages.begin(), reads.pages.end(), may_have_changed)) return {};
  if (reads.epoch < records_.complete_since()) {
    return too_old(reads.epoch, records_.complete_since());
  }
  const read_conflict found = records_.find_change(reads.pages, reads.epoch);
  if (!found.record) return {};
  const plan& graph = *now_->graph;
  const std::uint32_t producer = producer_at(graph, found.slot);
  const std::uint64_t line = (std::uint64_t{found.slot - first_slot_of(graph, producer)}
                              << static_cast<unsigned>(page_of(graph, producer))) +
                             static_cast<unsigned>(std::countr_zero(found.lines));
  const unsigned shift = line_shift - size_shift(type_of(graph, producer));
  const std::uint64_t first = line << shift;
  const std::uint64_t end = std::min((line + 1) << shift, graph.length_of(producer));
  return make_status(status_code::conflict, subsystem::engine,
                     "another transaction changed what this one read, begin again",
                     "elements [%llu, %llu) of '%s', changed at epoch %llu, read at %llu%s",
                     static_cast<unsigned long long>(first),
                     static_cast<unsigned long long>(end),
                     now_->declared->name_of(array_id{now_->resolved->array_of_producer[producer]})
                         .c_str(),
                     static_cast<unsigned long long>(found.record.epoch().value),
                     static_cast<unsigned long long>(reads.epoch),
                     by(tag_of(found.record)).c_str());
}

bool engine_core::reads_what_is_pending(const read_set& reads, const accepted_group& before) {
  const plan& graph = *now_->graph;
  if (now_->first_epoch > reads.epoch) return false;  // refused anyway
  // The members before it are in the window under the epoch to come.
  const std::uint64_t published_epoch = next_epoch_;
  for (const read_page& page : reads.pages) {
    if (page.slot >= graph.levels[0].slot_end) break;
    const plan_source& source = graph.sources[producer_at(graph, page.slot)];
    const std::uint64_t first = std::uint64_t{page.slot - source.slot}
                                << static_cast<unsigned>(source.page);
    for (line_mask left = page.lines; left != 0; left &= left - 1) {
      const auto line = static_cast<unsigned>(std::countr_zero(left));
      if (window_.is_line_written(source.array, first + line, published_epoch)) return true;
    }
  }
  bool found = false;
  for (const std::uint32_t producer : reads.derived) {
    for (const commit_request& other : before) {
      for (const delta_piece& piece : other.changes->pieces()) {
        found = found || reach_.reaches(graph, now_->source_index(piece.array), producer);
      }
    }
  }
  return found;
}

/// Asks the condition of a `commit_if` about the newest epoch.
status engine_core::ask(const commit_condition& condition) {
  const auto pinned = pins_.open(published_, options_.mode);
  if (!pinned) return pinned.error();
  const snapshot now(
      pin_share(shared_from_this(), generation_of(pinned->epoch), pinned->slot, pinned->epoch));
  const operator_scope scope;
  pin_of_condition_ = &now.pin_;
  status found;
  try {
    if (!condition.holds(condition.context, now)) {
      found = make_status(status_code::predicate_failed, subsystem::engine,
                          "the condition of the commit does not hold", "at epoch %llu",
                          static_cast<unsigned long long>(pinned->epoch));
    }
  } catch (const std::exception& thrown) {
    found = status(status_code::operator_failed, subsystem::engine,
                   "the condition of a commit threw an exception", thrown.what());
  } catch (...) {
    found = status(status_code::operator_failed, subsystem::engine,
                   "the condition of a commit threw what is no std::exception");
  }
  pin_of_condition_ = nullptr;
  return found;
}

}  // namespace sheaf::inline v0
