#include "engine/graph_change.hpp"

#include <algorithm>
#include <map>

#include <sheaf/propagate/executor.hpp>

namespace sheaf::inline v0 {

array_pages pages_of(const plan& graph, std::uint32_t array) noexcept {
  if (array >= graph.producer_of_array.size()) return {};
  const std::uint32_t producer = graph.producer_of_array[array];
  if (producer == no_index) return {};
  const bool contiguous = std::ranges::binary_search(graph.contiguous, producer);
  if (graph.is_source(producer)) {
    const plan_source& source = graph.sources[producer];
    return {source.slot, source.page_count, source.length, source.page, source.type, contiguous};
  }
  if (producer - graph.source_count() >= graph.eager_node_count) return {};
  const plan_node& node = graph.node_of(producer);
  const plan_operation& op = graph.operation_of(node);
  return {node.slot, op.page_count, op.length, op.page, op.type, contiguous};
}

namespace {

class comparison {
 public:
  comparison(const plan& before, const plan& after, const model_data& declared)
      : before_(before),
        after_(after),
        declared_(declared),
        is_redefined_(declared.array_count(), false) {
    for (const std::uint32_t array : declared.redefined) is_redefined_[array] = true;
    for (const auto& [array, length] : declared.shrunk) {
      const auto known = lowest_.try_emplace(array, length).first;
      known->second = std::min(known->second, length);
    }
  }

  graph_change run() {
    table_->slot_count = after_.slot_count;
    for (std::uint32_t array = 0; array < is_redefined_.size(); ++array) compare(array);
    for (const std::uint32_t source : after_.delays) start_delay(source);
    change_.table = std::move(table_);
    return std::move(change_);
  }

 private:
  bool is_source(std::uint32_t array) const {
    return after_.is_source(after_.producer_of_array[array]);
  }
  /// Host functions and fixpoints run whole.
  bool runs_whole(std::uint32_t array) const {
    return !is_source(array) &&
           after_.operation_of(after_.node_of(after_.producer_of_array[array])).fallible;
  }

  void compare(std::uint32_t array) {
    const array_pages was = pages_of(before_, array);
    const array_pages is = pages_of(after_, array);
    SHEAF_ASSERT(was.count == 0 || is.count == 0 || (was.page == is.page && was.type == is.type),
                 "arrays-keep-type-and-page-class");
    std::uint32_t kept = std::min(was.count, is.count);
    if (is.contiguous && was.count != is.count) {
      if (kept != 0) change_.copies.push_back({was.slot, is.slot, kept, is.page});
      kept = 0;
    }
    if (kept != 0) table_->kept.push_back({was.slot, is.slot, kept, is.page});
    if (was.count > kept) {
      table_->buried.push_back({was.slot + kept, was.count - kept, was.page});
    }
    if (is.count > kept) {
      table_->fresh.push_back({is.slot + kept, is.count - kept, is.page, is.contiguous});
    }
    if (is.count == 0) return;
    const bool is_new = was.count == 0;
    // An array that shrank and grew again in one transaction forgot what lay between.
    std::uint64_t common = std::min(was.length, is.length);
    const auto lowest = lowest_.find(array);
    if (lowest != lowest_.end()) common = std::min(common, lowest->second);
    const bool has_moved = !is_new && (was.length != is.length || common != is.length);
    if (!is_new && common != was.length) cut(is, common, std::min(was.count, is.count));
    const bool runs = !is_source(array) &&
                      (is_new || is_redefined_[array] || (has_moved && runs_whole(array)));
    if (runs) {
      change_.marks.push_back({is, 0, has_moved});
    } else if (has_moved) {
      const std::uint64_t last = common - 1;
      change_.marks.push_back({is, (last << size_shift(is.type)) / line_size, true});
    }
  }

  /// A delay goes on with what it follows, as far as that had elements.
  void start_delay(std::uint32_t source) {
    const std::uint32_t array = index_of(after_.sources[source].array);
    const std::uint64_t length = after_.sources[source].length;
    const array_pages was = pages_of(before_, array);
    if (was.count == 0 || is_redefined_[array]) return change_.delays.push_back({source, 0});
    if (was.length == length) return;
    const definition_record& made = declared_.definitions[declared_.arrays[array].definition];
    const std::uint64_t known = pages_of(before_, declared_.delays[made.payload].array).length;
    change_.delays.push_back({source, std::min(known, length)});
  }

  /// Clears the elements from `end` on in the first `pages` pages, those that were there.
  void cut(const array_pages& is, std::uint64_t end, std::uint32_t pages) {
    const std::uint64_t bytes = end << size_shift(is.type);
    auto inside = static_cast<std::uint32_t>(bytes & (bytes_of(is.page) - 1));
    for (auto page = static_cast<std::uint32_t>(bytes >> byte_shift(is.page)); page < pages;
         ++page) {
      change_.tails.push_back({is.slot + page, inside, is.page});
      inside = 0;
    }
  }

  const plan& before_;
  const plan& after_;
  const model_data& declared_;
  std::vector<bool> is_redefined_;
  std::map<std::uint32_t, std::uint64_t> lowest_;  ///< length of arrays that were made shorter
  std::shared_ptr<table_change> table_ = std::make_shared<table_change>();
  graph_change change_;
};

}  // namespace

graph_change change_between(const plan& before, const plan& after, const model_data& declared) {
  return comparison(before, after, declared).run();
}

void mark_change(const graph_change& change, executor& runner) {
  for (const graph_change::mark& mark : change.marks) {
    const unsigned per_page = lines_of(mark.pages.page);
    const std::uint64_t lines = mark.pages.lines();
    for (auto page = static_cast<std::uint32_t>(mark.first_line / per_page);
         page < mark.pages.count; ++page) {
      const std::uint64_t begin = std::uint64_t{page} * per_page;
      const auto valid = static_cast<unsigned>(std::min<std::uint64_t>(per_page, lines - begin));
      const auto skipped =
          mark.first_line > begin ? static_cast<unsigned>(mark.first_line - begin) : 0u;
      runner.mark_for_graph(mark.pages.slot + page, first_lines(valid) & ~first_lines(skipped),
                            mark.kept);
    }
  }
}

status pieces_fit(const delta& changes, const plan& graph, const model_data& declared,
                  const apply_table& bodies) {
  for (const delta_piece& piece : changes.pieces()) {
    const std::uint32_t array = index_of(piece.array);
    const std::uint32_t producer =
        array < graph.producer_of_array.size() ? graph.producer_of_array[array] : no_index;
    if (producer == no_index || !graph.is_source(producer)) {
      return make_status(status_code::unknown_array, subsystem::engine,
                         "the array that is written to was dropped", "'%s'",
                         declared.name_of(piece.array).c_str());
    }
    const std::uint64_t end = element_end(bodies, piece);
    const std::uint64_t length = graph.sources[producer].length;
    if (end <= length) continue;
    return make_status(status_code::out_of_range, subsystem::engine,
                       "the index is past the end of the array",
                       "element %llu of '%s', which has %llu",
                       static_cast<unsigned long long>(end - 1),
                       declared.name_of(piece.array).c_str(),
                       static_cast<unsigned long long>(length));
  }
  return {};
}

}  // namespace sheaf::inline v0
