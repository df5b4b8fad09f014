#include "model/history.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "model/compare.hpp"
#include "model/graph_rules.hpp"

namespace model_test {

namespace {

using sheaf::isolation;
using sheaf::merge_operator;
using sheaf::status_code;

/// The state of one epoch: columns are shared with the epoch before where they are equal.
struct epoch_state {
  std::shared_ptr<const declared_graph> graph;
  std::vector<std::shared_ptr<const column>> columns;
};

class replay {
 public:
  replay(const std::shared_ptr<const declared_graph>& first, std::vector<thread_log>& logs,
         thread_coverage& covered)
      : logs_(logs), covered_(covered), graph_(first), naive_(first->arrays) {
    remember(1);
  }

  void run(const commit_order& order, const sheaf::snapshot& last) {
    place_all(order);
    for (const auto& [epoch, group] : groups_) {
      covered_.groups += group.size() > 1;
      for (recorded_transaction* one : group) take(*one, epoch);
      remember(epoch);
    }
    for (const thread_log& log : logs_) {
      for (const recorded_transaction& one : log.transactions) judge(one);
      for (const caught_snapshot& held : log.snapshots) compare(held);
      for (const recorded_fork& one : log.forks) compare(one);
    }
    require(last.epoch().value == states_.rbegin()->first || groups_.empty() ||
                last.epoch().value > states_.rbegin()->first,
            "the last epoch");
    compare_with(last, "at the end", state_at(last.epoch().value));
  }

 private:
  struct written {
    std::uint64_t epoch;
    merge_operator op;
    const recorded_transaction* by;
  };

  /// Accepted transactions that are in a record, by epoch and place.
  void place_all(const commit_order& order) {
    std::map<std::string, recorded_transaction*> tagged;
    std::map<std::uint64_t, recorded_transaction*> merged;
    for (thread_log& log : logs_) {
      for (recorded_transaction& one : log.transactions) {
        if (one.epoch == 0) continue;
        ++covered_.accepted;
        if (one.is_merge) merged[one.epoch] = &one;
        else tagged[one.tag] = &one;
      }
    }
    for (const auto& [epoch, tags] : order) {
      for (const std::string& tag : tags) {
        recorded_transaction* one = nullptr;
        if (tag.empty()) one = merged.contains(epoch) ? merged[epoch] : nullptr;
        else one = tagged.contains(tag) ? tagged[tag] : nullptr;
        require(one != nullptr, "the record of epoch " + std::to_string(epoch) +
                                    " names a transaction that nobody committed: '" + tag + "'");
        require(one->epoch == epoch, "the record of epoch " + std::to_string(epoch) + " names '" +
                                         tag + "', which got " + std::to_string(one->epoch));
        groups_[epoch].push_back(one);
        placed_.insert(one);
      }
    }
    for (const thread_log& log : logs_) {
      for (const recorded_transaction& one : log.transactions) {
        const bool changes = !one.writes.empty() || one.graph != nullptr;
        require(one.epoch == 0 || !changes || placed_.contains(&one),
                "no record names '" + one.tag + "' of epoch " + std::to_string(one.epoch));
      }
    }
  }

  /// The state right before a transaction.
  const column& now(std::uint32_t array) const { return naive_.columns()[array]; }

  void take(recorded_transaction& one, std::uint64_t epoch) {
    require(epoch > one.begun.first, "'" + one.tag + "' committed before it began");
    check_reads(one);
    check_writes(one);
    if (one.condition) check_condition(*one.condition, true, epoch);
    require(!one.is_unfit, "a graph that does not fit is taken");
    for (const naive_engine::resized& resize : one.resizes) {
      naive_.resize(resize.array, resize.length);
    }
    if (one.graph != nullptr) {
      graph_ = one.graph;
      naive_.change_graph(graph_->arrays);
      graph_epochs_.insert(epoch);
      ++covered_.graph_changes;
    }
    covered_.merges += one.is_merge;
    naive_.write_again(one.writes);
    require(naive_.writes_fit(graph_->arrays), "writes past an end are taken: '" + one.tag + "'");
    for (const change& write : one.writes) {
      history_[{write.array, write.index}].push_back({epoch, write.op, &one});
    }
    naive_.prepare();
    naive_.publish();
  }

  /// First committer wins: nobody wrote the element since it began.
  void check_writes(const recorded_transaction& one) const {
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::set<merge_operator>> ops;
    for (const change& write : one.writes) ops[{write.array, write.index}].insert(write.op);
    for (const auto& [place, mine] : ops) {
      const auto found = history_.find(place);
      if (found == history_.end()) continue;
      for (auto at = found->second.rbegin(); at != found->second.rend(); ++at) {
        if (at->epoch <= one.begun.last) break;
        const bool merged = one.is_merge || at->by->is_merge;  // a merge adds up what it can
        const bool commutes = mine.size() == 1 && *mine.begin() == at->op &&
                              at->op != merge_operator::assign;
        require(commutes || (merged && mine.size() != 1) || (at->by->is_merge),
                "'" + one.tag + "' overwrites element " + std::to_string(place.second) +
                    " of array " + std::to_string(place.first) + " that '" + at->by->tag +
                    "' wrote at epoch " + std::to_string(at->epoch) + " after it began");
      }
    }
  }

  /// `read` as a state shows it to a transaction with writes of its own.
  static column shown(const array_recipe& recipe, const column& state,
                      const recorded_transaction& one, const recorded_read& read) {
    const sheaf::dtype type = recipe.type;
    column all = state;
    if (recipe.form == array_form::source) {
      for (std::size_t i = 0; i < read.writes_before; ++i) {
        const change& own = one.writes[i];
        if (own.array != read.array) continue;
        // Behind an end that has moved since it wrote: it will be refused, but reads what is there.
        if (own.index < all.size() / sheaf::size_of(type)) apply_change(type, own, all);
      }
    }
    const std::size_t begin = read.first * sheaf::size_of(type);
    if (begin + read.bytes.size() > all.size()) return {};
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(begin);
    return {from, from + static_cast<std::ptrdiff_t>(read.bytes.size())};
  }

  void check_reads(const recorded_transaction& one) {
    if (one.level != isolation::serializable) return;
    for (const recorded_read& read : one.reads) {
      ++covered_.reads_checked;
      require(shown(graph_->arrays[read.array], now(read.array), one, read) == read.bytes,
              "'" + one.tag + "' read array " + std::to_string(read.array) +
                  " otherwise than it is where it committed, epoch " + std::to_string(one.epoch));
    }
  }

  void check_condition(const recorded_condition& asked, bool held, std::uint64_t before) const {
    require(asked.seen_epoch != 0, "a condition was not asked");
    const epoch_state& state = state_at(asked.seen_epoch);
    const sheaf::dtype type = state.graph->arrays[asked.array].type;
    std::uint64_t bits = 0;
    std::memcpy(&bits, state.columns[asked.array]->data() + asked.index * sheaf::size_of(type),
                sheaf::size_of(type));
    require(bits == asked.seen_bits, "a condition saw a value that its epoch does not have");
    require(((bits & 1) != 0) == (asked.wanted == held), "a condition says otherwise");
    if (!held) return;
    const auto newest = std::prev(states_.end());
    require(newest->first <= asked.seen_epoch && asked.seen_epoch < before,
            "a condition was not asked about the state right before its commit");
  }

  void remember(std::uint64_t epoch) {
    epoch_state made{graph_, {}};
    const epoch_state* last = states_.empty() ? nullptr : &states_.rbegin()->second;
    for (std::size_t i = 0; i < naive_.columns().size(); ++i) {
      const column& is = naive_.columns()[i];
      const bool same = last != nullptr && i < last->columns.size() && *last->columns[i] == is;
      made.columns.push_back(same ? last->columns[i] : std::make_shared<const column>(is));
    }
    states_.emplace(epoch, std::move(made));
  }
  /// An epoch without a record changed nothing.
  const epoch_state& state_at(std::uint64_t epoch) const {
    return std::prev(states_.upper_bound(epoch))->second;
  }

  /// What was not in any record: transactions that only read, and refusals.
  void judge(const recorded_transaction& one) {
    if (one.epoch != 0 && !placed_.contains(&one)) {
      covered_.read_only += !one.reads.empty();
      check_one_epoch(one);
    } else if (one.epoch != 0) {
      if (one.level == isolation::snapshot) check_one_epoch(one);
    } else {
      check_one_epoch(one);
      judge_refusal(one);
    }
  }

  bool shows(const epoch_state& state, const recorded_transaction& one) const {
    return std::ranges::all_of(one.reads, [&](const recorded_read& read) {
      return read.array < state.columns.size() &&
             shown(state.graph->arrays[read.array], *state.columns[read.array], one, read) ==
                 read.bytes;
    });
  }
  /// Reads of every transaction, refused or not, are of one epoch.
  void check_one_epoch(const recorded_transaction& one) const {
    if (one.reads.empty()) return;
    bool found = shows(state_at(one.read.first), one);
    for (auto at = states_.upper_bound(one.read.first);
         !found && at != states_.end() && at->first <= one.read.last; ++at) {
      found = shows(at->second, one);
    }
    if (found) return;
    std::string words = "the reads of '" + one.tag + "' are of no one epoch in [" +
                        std::to_string(one.read.first) + ", " + std::to_string(one.read.last) +
                        "]; by array, and the epochs whose bits it has:";
    for (const recorded_read& read : one.reads) {
      words += " #" + std::to_string(read.array) + ":";
      for (const auto& [epoch, state] : states_) {
        const bool is_it = read.array < state.columns.size() &&
                           shown(state.graph->arrays[read.array], *state.columns[read.array], one,
                                 read) == read.bytes;
        if (is_it) words += " " + std::to_string(epoch);
      }
    }
    throw mismatch{words};
  }

  void judge_refusal(const recorded_transaction& one) {
    const status_code code = one.refusal.code();
    const std::string words = "'" + one.tag + "' is refused: " + one.refusal.message();
    const bool graph_moved = any_between(graph_epochs_, one.graph_known, one.ended);
    if (code == status_code::predicate_failed) {
      ++covered_.conditions_failed;
      require(one.condition.has_value(), words);
      if (one.condition->seen_epoch == 0) return require(graph_moved, words);
      return check_condition(*one.condition, false, 0);
    }
    // Whether it came too late is judged before its graph.
    if (one.is_unfit && code != status_code::conflict) {
      return require(code == status_code::length_mismatch || code == status_code::out_of_range ||
                         code == status_code::invalid_argument ||
                         code == status_code::unknown_array || code == status_code::unsupported,
                     words);
    }
    if (code == status_code::unknown_array || code == status_code::out_of_range) {
      return require(graph_moved, words);  // a handle or a length from before the change
    }
    require(code == status_code::conflict, words);
    if (was_overwritten(one)) ++covered_.write_conflicts;
    else if (graph_moved) ++covered_.graph_conflicts;
    else require(has_read_what_changed(one), words + ", without a reason");
  }

  static bool any_between(const std::set<std::uint64_t>& epochs, std::uint64_t after,
                          std::uint64_t last) {
    const auto found = epochs.upper_bound(after);
    return found != epochs.end() && *found <= last;
  }
  bool was_overwritten(const recorded_transaction& one) const {
    return std::ranges::any_of(one.writes, [&](const change& write) {
      const auto found = history_.find({write.array, write.index});
      if (found == history_.end()) return false;
      return std::ranges::any_of(found->second, [&](const written& other) {
        return other.epoch > one.begun.first && other.epoch <= one.ended &&
               (other.op != write.op || write.op == merge_operator::assign ||
                other.by->is_merge || one.is_merge);
      });
    });
  }
  /// Somebody wrote into the lines that `read` touches, be it the bits that were there.
  bool was_written(const recorded_read& read, const recorded_transaction& one) const {
    const std::size_t in_line = sheaf::line_size / sheaf::size_of(graph_->arrays[read.array].type);
    const std::size_t count = read.bytes.size() / sheaf::size_of(graph_->arrays[read.array].type);
    const std::uint64_t first = read.first / in_line * in_line;
    const std::uint64_t end = (read.first + count + in_line - 1) / in_line * in_line;
    for (auto at = history_.lower_bound({read.array, first});
         at != history_.end() && at->first < std::pair(read.array, end); ++at) {
      for (const written& other : at->second) {
        if (other.epoch > one.read.first && other.epoch <= one.ended) return true;
      }
    }
    return false;
  }
  /// A line it read was written, or has other bits in some epoch after; for lazy arrays anything
  /// may count.
  bool has_read_what_changed(const recorded_transaction& one) {
    if (one.level != isolation::serializable) return false;
    ++covered_.read_conflicts;
    for (const recorded_read& read : one.reads) {
      if (was_written(read, one)) return true;
    }
    for (auto at = states_.upper_bound(one.read.first);
         at != states_.end() && at->first <= one.ended; ++at) {
      if (one.read_lazily) return true;
      const epoch_state& before = std::prev(at)->second;
      for (const recorded_read& read : one.reads) {
        const std::size_t size = sheaf::size_of(graph_->arrays[read.array].type);
        const std::size_t begin = read.first * size / sheaf::line_size * sheaf::line_size;
        const column& was = *before.columns[read.array];
        const column& is = *at->second.columns[read.array];
        const std::size_t last = read.first * size + read.bytes.size();
        const std::size_t end =
            std::min(was.size(), (last + sheaf::line_size - 1) / sheaf::line_size *
                                     sheaf::line_size);
        if (was.size() != is.size()) return true;
        if (!std::equal(was.begin() + static_cast<std::ptrdiff_t>(begin),
                        was.begin() + static_cast<std::ptrdiff_t>(end),
                        is.begin() + static_cast<std::ptrdiff_t>(begin))) {
          return true;
        }
      }
    }
    return false;
  }

  void compare_with(const sheaf::snapshot& held, const std::string& when,
                    const epoch_state& state) const {
    for (std::uint32_t i = 0; i < state.columns.size(); ++i) {
      if (state.graph->arrays[i].form == array_form::dropped) continue;
      require(bytes_of(held, *state.graph, i) == *state.columns[i],
              "array " + std::to_string(i) + " " + when + ", epoch " +
                  std::to_string(held.epoch().value));
    }
  }
  void compare(const caught_snapshot& held) {
    ++covered_.snapshots;
    const epoch_state& state = state_at(held.now.epoch().value);
    compare_with(held.now, "in a snapshot held to the end", state);
    for (const auto& [array, bytes] : held.seen) {
      if (array >= state.columns.size() || bytes.empty()) continue;
      require(bytes == *state.columns[array], "array " + std::to_string(array) +
                                                  " in a snapshot as it was opened, epoch " +
                                                  std::to_string(held.now.epoch().value));
    }
  }
  void compare(const recorded_fork& one) {
    ++covered_.forks;
    const epoch_state& base = state_at(one.base);
    std::vector<column> columns;
    for (const auto& shared : base.columns) columns.push_back(*shared);
    naive_engine twin = naive_.fork_at(base.graph->arrays, columns);
    for (const std::vector<change>& commit : one.commits) {
      twin.write_again(commit);
      twin.prepare();
      twin.publish();
    }
    for (const auto& [array, bytes] : one.seen) {
      require(bytes == twin.columns()[array], "array " + std::to_string(array) +
                                                  " in a fork of epoch " +
                                                  std::to_string(one.base));
    }
  }

  std::vector<thread_log>& logs_;
  thread_coverage& covered_;
  std::shared_ptr<const declared_graph> graph_;
  naive_engine naive_;
  std::map<std::uint64_t, std::vector<recorded_transaction*>> groups_;
  std::set<const recorded_transaction*> placed_;
  std::map<std::uint64_t, epoch_state> states_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::vector<written>> history_;
  std::set<std::uint64_t> graph_epochs_;
};

}  // namespace

void check_history(const std::shared_ptr<const declared_graph>& first,
                   std::vector<thread_log>& logs, const commit_order& order,
                   const sheaf::snapshot& last, thread_coverage& covered) {
  replay(first, logs, covered).run(order, last);
}

}  // namespace model_test
