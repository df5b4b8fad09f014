#include "engine/graph_change.hpp"

#include <algorithm>

#include <sheaf/propagate/executor.hpp>

namespace sheaf::inline v0 {

array_pages pages_of(const plan& graph, std::uint32_t array) noexcept {
  if (array >= graph.producer_of_array.size()) return {};
  const std::uint32_t producer = graph.producer_of_array[array];
  if (producer == no_index) return {};
  if (graph.is_source(producer)) {
    const plan_source& source = graph.sources[producer];
    return {source.slot, source.page_count, source.length, source.page, source.type};
  }
  if (producer - graph.source_count() >= graph.eager_node_count) return {};
  const plan_node& node = graph.node_of(producer);
  const plan_operation& op = graph.operation_of(node);
  return {node.slot, op.page_count, op.length, op.page, op.type};
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
  }

  graph_change run() {
    table_->slot_count = after_.slot_count;
    for (std::uint32_t array = 0; array < is_redefined_.size(); ++array) compare(array);
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
    const std::uint32_t kept = std::min(was.count, is.count);
    if (kept != 0) table_->kept.push_back({was.slot, is.slot, kept, is.page});
    if (was.count > kept) {
      table_->buried.push_back({was.slot + kept, was.count - kept, was.page});
    }
    const bool contiguous = declared_.arrays[array].contiguous;
    if (contiguous && kept != 0 && was.count != is.count) change_.cannot_move = array_id{array};
    if (is.count > kept) {
      table_->fresh.push_back({is.slot + kept, is.count - kept, is.page, contiguous});
    }
    if (is.count == 0) return;
    const bool is_new = was.count == 0;
    const bool has_moved = !is_new && was.length != is.length;
    if (has_moved && was.length > is.length) cut(is);
    if (is_new || is_redefined_[array] || (has_moved && runs_whole(array))) {
      if (!is_source(array)) change_.marks.push_back({is, 0, has_moved});
    } else if (has_moved) {
      const std::uint64_t last = std::min(was.length, is.length) - 1;
      change_.marks.push_back({is, (last << size_shift(is.type)) / line_size, true});
    }
  }

  /// Elements past the new end lie in the last page, where it is not full.
  void cut(const array_pages& is) {
    const std::uint64_t end = is.length << size_shift(is.type);
    const auto inside = static_cast<std::uint32_t>(end & (bytes_of(is.page) - 1));
    if (inside != 0) change_.tails.push_back({is.slot + is.count - 1, inside, is.page});
  }

  const plan& before_;
  const plan& after_;
  const model_data& declared_;
  std::vector<bool> is_redefined_;
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
