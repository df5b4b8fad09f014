#include "engine/record_ring.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sheaf/base/assert.hpp>

#include "engine/transaction_state.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr std::size_t block_size_max = std::size_t{1} << 18;
constexpr std::size_t block_size_min = 4096;
/// A run longer than this is noted as a change of every page: noting each would cost more than the
/// walk over records it saves.
constexpr std::uint32_t noted_run_max = 256;

constexpr std::size_t rounded(std::size_t size) noexcept { return (size + 7) & ~std::size_t{7}; }

/// Two lengths and the bytes.
std::size_t tag_size(const commit_request& member) noexcept {
  return 2 * sizeof(std::uint16_t) + (member.tag == nullptr ? 0 : member.tag->size());
}

}  // namespace

void record_ring::free_delete::operator()(std::uint64_t* words) const noexcept {
  std::free(words);
}

record_ring::record_ring(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      // A record takes at most a quarter of the ring.
      changes_(bytes_max / 4 / sizeof(changed_run)),
      changed_at_(static_cast<std::uint64_t*>(std::calloc(filter_size, sizeof(std::uint64_t)))) {
  if (changed_at_ == nullptr) throw std::bad_alloc();
}

void record_ring::note_in_filter(std::uint64_t epoch) noexcept {
  for (const changed_run& run : changes_.runs()) {
    if (run.count > noted_run_max) {
      all_changed_at_ = epoch;
      return;
    }
    for (std::uint32_t i = 0; i < run.count; ++i) {
      changed_at_[(run.slot + i) % filter_size] = epoch;
    }
  }
}

void record_ring::publish(std::uint64_t epoch, const accepted_group& group,
                          const std::shared_ptr<const resolved_plan>& graph) noexcept {
  note_in_filter(epoch);
  if (bytes_max_ == 0) {
    complete_since_ = epoch;
    return;
  }
  std::size_t size = sizeof(record_header) + changes_.runs().size() * sizeof(changed_run);
  for (const commit_request& member : group) size += tag_size(member);
  size = rounded(size);
  const bool fits = current_ != nullptr && current_->graph == graph &&
                    current_->capacity - current_->used.load(std::memory_order_relaxed) >= size;
  // relaxed, above and below: the committer alone writes them.
  if (!fits && !begin_block(epoch, size, graph)) {
    complete_since_ = epoch;  // the serial is spent: readers learn that they missed one
  } else {
    write(epoch, group, size);
  }
  next_serial_.store(next_serial_.load(std::memory_order_relaxed) + 1);
  if (waiters_.load() != 0) wake_all();
}

bool record_ring::begin_block(std::uint64_t epoch, std::size_t size,
                              const std::shared_ptr<const resolved_plan>& graph) noexcept {
  // A block holds records of one graph: where the graph changes often, none is left half empty.
  const bool goes_on = current_ != nullptr && current_->graph == graph;
  const std::size_t usual = std::clamp(bytes_max_ / 8, block_size_min, block_size_max);
  const std::size_t capacity =
      std::max(size, goes_on ? std::min(usual, current_->capacity * 2) : block_size_min);
  try {
    auto made = std::make_shared<record_block>();
    made->graph = graph;
    made->first_epoch = epoch;
    made->first_serial = next_serial_.load(std::memory_order_relaxed);  // the committer's own
    made->capacity = capacity;
    made->data = std::make_unique_for_overwrite<std::byte[]>(capacity);
    const mutex_lock lock(mutex_);
    blocks_.push_back(std::move(made));
    bytes_ += capacity;
    while (blocks_.size() > 1 && bytes_ > bytes_max_) {
      bytes_ -= blocks_.front()->capacity;
      blocks_.pop_front();
      complete_since_ = std::max(complete_since_.load(), blocks_.front()->first_epoch - 1);
    }
    current_ = blocks_.back().get();
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void record_ring::write(std::uint64_t epoch, const accepted_group& group,
                        std::size_t size) noexcept {
  const std::size_t offset = current_->used.load(std::memory_order_relaxed);  // the committer's
  const std::vector<changed_run>& runs = changes_.runs();
  const record_header header{.epoch = epoch,
                             .serial = next_serial_.load(std::memory_order_relaxed),  // its own
                             .size = static_cast<std::uint32_t>(size),
                             .run_count = static_cast<std::uint32_t>(runs.size()),
                             .transaction_count = group.count,
                             .is_exact = changes_.is_exact()};
  std::byte* to = current_->data.get() + offset;
  std::memcpy(to, &header, sizeof header);
  to += sizeof header;
  if (!runs.empty()) std::memcpy(to, runs.data(), runs.size() * sizeof(changed_run));
  to += runs.size() * sizeof(changed_run);
  for (const commit_request& member : group) {
    const tag_store none;
    const tag_store& tag = member.tag == nullptr ? none : *member.tag;
    std::memcpy(to, &tag.who_size, sizeof tag.who_size);
    std::memcpy(to + sizeof tag.who_size, &tag.why_size, sizeof tag.why_size);
    to += 2 * sizeof(std::uint16_t);
    std::memcpy(to, tag.text, tag.size());
    to += tag.size();
  }
  // release: pairs with the acquire of readers.
  current_->used.store(offset + size, std::memory_order_release);
}

read_conflict record_ring::find_change(std::span<const read_page> pages,
                                       std::uint64_t since) const {
  const auto all = blocks();
  for (auto block = all.rbegin(); block != all.rend(); ++block) {
    const std::size_t used = (*block)->used.load(std::memory_order_acquire);  // see `write`
    for (std::size_t at = 0; at < used; at += (*block)->header_at(at).size) {
      if ((*block)->header_at(at).epoch <= since) continue;
      for (const changed_run& run : (*block)->runs_at(at)) {
        auto page = std::lower_bound(
            pages.begin(), pages.end(), run.slot,
            [](const read_page& read, std::uint32_t slot) { return read.slot < slot; });
        for (; page != pages.end() && page->slot - run.slot < run.count; ++page) {
          if ((page->lines & run.lines) == 0) continue;
          return {commit_record(*block, at), page->slot, page->lines & run.lines};
        }
      }
    }
    if ((*block)->first_epoch <= since) break;
  }
  return {};
}

std::deque<std::shared_ptr<const record_block>> record_ring::blocks() const {
  const mutex_lock lock(mutex_);
  return {blocks_.begin(), blocks_.end()};
}

commit_record record_ring::find(std::uint64_t epoch) const noexcept {
  std::shared_ptr<const record_block> block;
  {
    const mutex_lock lock(mutex_);
    for (auto at = blocks_.rbegin(); at != blocks_.rend(); ++at) {
      if ((*at)->first_epoch > epoch) continue;
      block = *at;
      break;
    }
  }
  if (block == nullptr) return {};
  const std::size_t used = block->used.load(std::memory_order_acquire);  // see `write`
  for (std::size_t at = 0; at < used; at += block->header_at(at).size) {
    if (block->header_at(at).epoch == epoch) return commit_record(std::move(block), at);
  }
  return {};
}

record_position record_ring::newest() const noexcept {
  const mutex_lock lock(mutex_);
  record_position at;
  at.serial = next_serial_.load();
  if (blocks_.empty()) return at;
  at.block = blocks_.back();
  at.offset = at.block->used.load(std::memory_order_acquire);  // see `write`
  // A record may have come between the two loads: its serial tells.
  for (std::size_t offset = 0; offset < at.offset; offset += at.block->header_at(offset).size) {
    if (at.block->header_at(offset).serial < at.serial) continue;
    at.offset = offset;
    break;
  }
  return at;
}

commit_record record_ring::next(record_position& at, std::uint64_t& missed) const noexcept {
  while (true) {
    if (at.block != nullptr &&
        at.offset < at.block->used.load(std::memory_order_acquire)) {  // see `write`
      const record_header& header = at.block->header_at(at.offset);
      missed += header.serial - at.serial;  // records that found no memory
      at.serial = header.serial + 1;
      commit_record found(at.block, at.offset);
      at.offset += header.size;
      return found;
    }
    if (at.serial >= next_serial_.load()) return {};
    const mutex_lock lock(mutex_);
    const auto after = std::find_if(blocks_.begin(), blocks_.end(), [&](const auto& block) {
      return block->first_serial >= at.serial && block != at.block;
    });
    if (after == blocks_.end()) {
      // The newest block may have grown since it was looked at, or a record was lost in between.
      if (at.block != nullptr && !blocks_.empty() && at.block == blocks_.back() &&
          at.offset < at.block->used.load(std::memory_order_acquire)) {
        continue;
      }
      return {};
    }
    at.block = *after;
    at.offset = 0;
  }
}

void record_ring::wait(std::uint64_t serial, std::chrono::nanoseconds at_most,
                       const std::atomic<bool>& stop) const {
  waiters_.fetch_add(1);
  {
    std::unique_lock lock(wait_mutex_);
    came_.wait_for(lock, at_most, [&] { return next_serial_.load() > serial || stop.load(); });
  }
  waiters_.fetch_sub(1);
}

void record_ring::wake_all() const noexcept {
  // Nobody is between his look and his sleep while the mutex is held.
  { const std::lock_guard lock(wait_mutex_); }
  came_.notify_all();
}

}  // namespace sheaf::inline v0
