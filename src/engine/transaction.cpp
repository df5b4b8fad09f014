#include <sheaf/engine/transaction.hpp>

#include <utility>

#include <sheaf/engine/pending_commit.hpp>

#include "engine/deferred_commit.hpp"
#include "engine/engine_core.hpp"
#include "engine/transaction_state.hpp"

namespace sheaf::inline v0 {

namespace {

status past_the_end(const std::string& name, std::uint64_t element, std::uint64_t length) {
  return make_status(status_code::out_of_range, subsystem::engine,
                     "the index is past the end of the array",
                     "element %llu of '%s', which has %llu",
                     static_cast<unsigned long long>(element), name.c_str(),
                     static_cast<unsigned long long>(length));
}

status lengths_differ(const std::string& name, std::uint64_t indices, std::uint64_t values) {
  return make_status(status_code::length_mismatch, subsystem::engine,
                     "spans of one call have different lengths", "%llu and %llu for '%s'",
                     static_cast<unsigned long long>(indices),
                     static_cast<unsigned long long>(values), name.c_str());
}

status unsupported_merge(const std::string& name, merge_operator op) {
  return make_status(status_code::type_mismatch, subsystem::engine,
                     "the merge operator is not defined for the element type", "%s on '%s'",
                     std::string(name_of(op)).c_str(), name.c_str());
}

}  // namespace

transaction::transaction() noexcept
    : error_(status_code::closed, subsystem::engine, "the transaction belongs to no engine") {}

transaction::transaction(std::shared_ptr<engine_core> core,
                         const transaction_options& options) noexcept
    : core_(std::move(core)) {
  if (core_ == nullptr || core_->is_closed()) {
    remember(status(status_code::closed, subsystem::engine, "the engine is closed"));
    return;
  }
  const engine_core::beginning begun = core_->begin();
  writer_slot_ = begun.slot;
  begin_epoch_ = begun.epoch;
  is_open_ = true;
  if (!options.who.empty() || !options.why.empty()) tag(options.who, options.why);
  if (options.level != isolation::serializable && state() != nullptr) {
    state_->level = options.level;
  }
}

transaction::transaction(transaction&& other) noexcept
    : core_(std::move(other.core_)),
      base_(std::move(other.base_)),
      edit_(std::move(other.edit_)),
      delta_(std::move(other.delta_)),
      error_(other.error_),
      state_(std::move(other.state_)),
      begin_epoch_(other.begin_epoch_),
      writer_slot_(other.writer_slot_),
      is_open_(std::exchange(other.is_open_, false)),
      has_storage_(std::exchange(other.has_storage_, false)) {
  other.error_ = status(status_code::closed, subsystem::engine, "the transaction was moved from");
}

transaction& transaction::operator=(transaction&& other) noexcept {
  if (this == &other) return *this;
  std::destroy_at(this);
  return *std::construct_at(this, std::move(other));
}

transaction::~transaction() { give_back(); }

/// Ends it for the engine: its storage goes back, it is not open any more.
void transaction::give_back() noexcept {
  if (std::exchange(has_storage_, false)) {
    // What a fork writes to is the fork's, and its share ends here.
    if (!is_open_) base_.reset();
    core_->give_back(writer_slot_, {std::move(delta_), std::move(base_)});
  }
  edit_.reset();
  state_.reset();
  if (std::exchange(is_open_, false)) core_->end(writer_slot_);
}

void transaction::write_to(std::shared_ptr<engine_core> core,
                           std::shared_ptr<const generation> base) noexcept {
  core_ = std::move(core);
  base_ = std::move(base);
  error_ = status();
}

void transaction::end() noexcept {
  give_back();
  error_ = status(status_code::closed, subsystem::engine, "the transaction is over");
}

void transaction::remember(const status& mistake) noexcept {
  if (error_.is_ok()) error_ = mistake;
}

/// Takes storage from the engine's pool before the first write: an empty transaction needs none.
bool transaction::is_writable() noexcept {
  if (!error_.is_ok()) return false;
  if (!has_storage_) {
    engine_core::write_lease lease = core_->take_lease(writer_slot_);
    delta_ = std::move(lease.changes);
    if (base_ == nullptr) base_ = std::move(lease.base);
    has_storage_ = true;
  }
  return true;
}

model& transaction::graph() {
  if (edit_ == nullptr) {
    // A transaction that cannot commit lets calls go to a model that nobody sees.
    edit_ = is_writable() ? std::make_unique<model>(base_->declared) : std::make_unique<model>();
  }
  return *edit_;
}

result<transaction::write_target> transaction::target_of(const array_handle& target,
                                                         dtype type) const noexcept {
  if (SHEAF_UNLIKELY(edit_ != nullptr)) {
    const model_data& records = edit_->records();
    if (records.owns(target) && records.record(target.id).kind == array_kind::source &&
        records.record(target.id).type == type) {
      const array_record& record = records.record(target.id);
      const std::uint64_t pages =
          ((record.length - 1) >> (byte_shift(record.page) - size_shift(type))) + 1;
      return write_target{record.length, static_cast<std::uint32_t>(pages), record.page};
    }
    SHEAF_TRY(check_handle(records, target, type));
    return make_status(status_code::not_a_source, subsystem::engine,
                       "only source arrays can be written", "'%s' is derived",
                       name_of(target).c_str());
  }
  const auto source = base_->source_of(target, type);
  if (!source) return source.error();
  return write_target{(*source)->length, (*source)->page_count, (*source)->page};
}

result<std::uint64_t> transaction::length_of(const array_handle& target, dtype type) noexcept {
  if (!is_writable()) return error_;
  const auto source = target_of(target, type);
  if (source) return source->length;
  remember(source.error());
  return source.error();
}

std::string transaction::name_of(const array_handle& target) const {
  const model_data& records = edit_ == nullptr ? *base_->declared : edit_->records();
  return records.name_to_show(target);
}

void transaction::write_one(const array_handle& target, dtype type, merge_operator op,
                            std::uint64_t index, const void* value) noexcept {
  if (!is_writable()) return;
  const auto source = target_of(target, type);
  if (!source) return remember(source.error());
  if (!supports(op, type)) return remember(unsupported_merge(name_of(target), op));
  if (index >= source->length) {
    return remember(past_the_end(name_of(target), index, source->length));
  }
  remember(delta_.set(target.id, type, op, index, value));
}

void transaction::write_range(const array_handle& target, dtype type, merge_operator op,
                              std::uint64_t first, const void* values, std::uint64_t count,
                              bool borrowed) noexcept {
  if (!is_writable()) return;
  const auto source = target_of(target, type);
  if (!source) return remember(source.error());
  if (!supports(op, type)) return remember(unsupported_merge(name_of(target), op));
  const std::uint64_t length = source->length;
  if (first > length || count > length - first) {
    return remember(past_the_end(name_of(target), first + count, length));
  }
  remember(borrowed ? delta_.range_borrowed(target.id, type, op, first, values, count)
                    : delta_.range(target.id, type, op, first, values, count));
}

template <class Index>
void transaction::write_scatter(const array_handle& target, dtype type, merge_operator op,
                                std::span<const Index> indices, const void* values,
                                std::uint64_t value_count, bool borrowed) noexcept {
  if (!is_writable()) return;
  const auto source = target_of(target, type);
  if (!source) return remember(source.error());
  if (!supports(op, type)) return remember(unsupported_merge(name_of(target), op));
  if (indices.size() != value_count) {
    return remember(lengths_differ(name_of(target), indices.size(), value_count));
  }
  if (indices.empty()) return;
  const std::uint64_t highest = max_index(core_->apply_bodies(), indices);
  if (highest >= source->length) {
    return remember(past_the_end(name_of(target), highest, source->length));
  }
  remember(borrowed ? delta_.scatter_borrowed(target.id, type, op, indices, values)
                    : delta_.scatter(target.id, type, op, indices, values));
}

template void transaction::write_scatter(const array_handle&, dtype, merge_operator,
                                         std::span<const std::uint32_t>, const void*,
                                         std::uint64_t, bool) noexcept;
template void transaction::write_scatter(const array_handle&, dtype, merge_operator,
                                         std::span<const std::uint64_t>, const void*,
                                         std::uint64_t, bool) noexcept;

void transaction::write_lines(const array_handle& target, dtype type, merge_operator op,
                              std::uint32_t page, line_mask mask,
                              std::span<const std::uint64_t> element_masks,
                              std::span<const std::byte> payload) noexcept {
  if (!is_writable()) return;
  const auto found = target_of(target, type);
  if (!found) return remember(found.error());
  const write_target& source = *found;
  if (!supports(op, type)) return remember(unsupported_merge(name_of(target), op));
  const auto lines = static_cast<std::size_t>(std::popcount(mask));
  if (element_masks.size() != lines || payload.size() != lines * line_size) {
    return remember(lengths_differ(name_of(target), element_masks.size(), lines));
  }
  if (mask == 0) return;
  const unsigned shift = line_shift - size_shift(type);
  const std::uint64_t first_line = std::uint64_t{page} << static_cast<unsigned>(source.page);
  std::size_t k = 0;
  std::uint64_t end = 0;
  for_each_line(mask, [&](unsigned line) {
    const std::uint64_t elements = element_masks[k++];
    if (elements == 0) return;
    end = ((first_line + line) << shift) + static_cast<unsigned>(std::bit_width(elements));
  });
  if (page >= source.page_count || end > source.length) {
    return remember(past_the_end(name_of(target), end, source.length));
  }
  remember(delta_.lines(target.id, type, op, source.page, first_line, mask, element_masks.data(),
                        payload.data()));
}

result<epoch> transaction::commit() && { return commit_when({}); }

result<epoch> transaction::commit_when(const commit_condition& when) {
  if (!error_.is_ok()) {
    const status why = error_;
    abort();
    return why;
  }
  commit_request request;
  if (when.holds != nullptr) request.condition = &when;
  if (const std::optional<epoch> seen = prepare(request); seen) {
    end();
    return *seen;
  }
  result<epoch> done = core_->commit(request);
  end();
  return done;
}

std::optional<epoch> transaction::prepare(commit_request& request) noexcept {
  request.changes = &delta_;
  // A look at the graph is no edit of it.
  const bool is_edited = edit_ != nullptr && &edit_->records() != base_->declared.get();
  request.edit = is_edited ? edit_.get() : nullptr;
  request.base = base_.get();
  request.begin_epoch = begin_epoch_;
  if (state_ == nullptr) return std::nullopt;
  state_->pin = pin_share();  // its epoch is enough from here on
  read_set& reads = state_->reads;
  const bool changes_nothing = delta_.is_empty() && !is_edited;
  if (!reads.is_empty() && changes_nothing && request.condition == nullptr) {
    return epoch{reads.epoch};
  }
  if (!reads.is_empty() && state_->level == isolation::serializable) {
    reads.settle();
    request.reads = &reads;
  }
  if (state_->is_tagged) request.tag = &state_->tag;
  return std::nullopt;
}

pending_commit transaction::commit_for(std::chrono::nanoseconds budget) && {
  using clock = deferred_commit::clock;
  const clock::time_point now = clock::now();
  const clock::time_point until =
      budget < clock::time_point::max() - now ? now + budget : clock::time_point::max();
  if (!error_.is_ok()) {
    const status why = error_;
    abort();
    return pending_commit(why);
  }
  std::shared_ptr<engine_core> core = core_;
  std::shared_ptr<deferred_commit> commit;
  try {
    commit = std::make_shared<deferred_commit>(std::move(*this));
  } catch (const std::bad_alloc&) {
    abort();
    return pending_commit(status(status_code::out_of_memory, subsystem::engine,
                                 "no memory for a commit with a time budget"));
  }
  error_ = status(status_code::closed, subsystem::engine, "the transaction is over");
  if (const std::optional<epoch> seen = commit->txn.prepare(commit->request); seen) {
    commit->request.epoch = seen->value;
    commit->finish();
    return pending_commit(std::move(commit));
  }
  if (const status refused = core->commit_deferred(commit, until); !refused.is_ok()) {
    return pending_commit(refused);
  }
  return pending_commit(std::move(commit));
}

void transaction::abort() noexcept {
  give_back();
  error_ = status(status_code::aborted, subsystem::engine, "the transaction was aborted");
}

}  // namespace sheaf::inline v0
