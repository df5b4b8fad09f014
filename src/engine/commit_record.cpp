#include <sheaf/engine/commit_record.hpp>

#include <cstring>

#include "engine/record_ring.hpp"
#include "engine/slot_owner.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

const record_header& commit_record::header() const noexcept { return block_->header_at(offset_); }

epoch commit_record::epoch() const noexcept { return {block_ == nullptr ? 0 : header().epoch}; }

bool commit_record::is_exact() const noexcept {
  return block_ != nullptr && header().is_exact != 0;
}

std::uint32_t commit_record::transaction_count() const noexcept {
  return block_ == nullptr ? 0 : header().transaction_count;
}

transaction_tag commit_record::tag(std::uint32_t index) const noexcept {
  if (index >= transaction_count()) return {};
  const auto runs = block_->runs_at(offset_);
  const char* at = reinterpret_cast<const char*>(runs.data() + runs.size());
  for (std::uint32_t i = 0;; ++i) {
    std::uint16_t sizes[2];
    std::memcpy(sizes, at, sizeof sizes);
    at += sizeof sizes;
    if (i == index) return {{at, sizes[0]}, {at + sizes[0], sizes[1]}};
    at += sizes[0] + sizes[1];
  }
}

bool commit_record::next(cursor& at, changed_page& found) const noexcept {
  if (block_ == nullptr) return false;
  const auto runs = block_->runs_at(offset_);
  if (at.run == runs.size()) return false;
  const changed_run& run = runs[at.run];
  const std::uint32_t slot = run.slot + at.within;
  const plan& graph = *block_->graph->graph;
  const std::uint32_t producer = producer_at(graph, slot);
  found.array = array_id{block_->graph->array_of_producer[producer]};
  found.page = slot - first_slot_of(graph, producer);
  found.lines = run.lines;
  if (++at.within == run.count) {
    at.within = 0;
    ++at.run;
  }
  return true;
}

line_mask commit_record::lines_of(array_id array, std::uint32_t page) const noexcept {
  if (block_ == nullptr) return 0;
  const plan& graph = *block_->graph->graph;
  if (index_of(array) >= graph.producer_of_array.size()) return 0;
  const std::uint32_t producer = graph.producer_of_array[index_of(array)];
  if (producer == no_index || page >= graph.page_count_of(producer)) return 0;
  const std::uint32_t slot = first_slot_of(graph, producer) + page;
  for (const changed_run& run : block_->runs_at(offset_)) {
    if (slot - run.slot < run.count) return run.lines;
  }
  return 0;
}

}  // namespace sheaf::inline v0
