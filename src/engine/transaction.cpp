#include <sheaf/engine/transaction.hpp>

#include <utility>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

namespace {

status past_the_end(const generation& base, const array_handle& target, std::uint64_t element,
                    std::uint64_t length) {
  return make_status(status_code::out_of_range, subsystem::engine,
                     "the index is past the end of the array",
                     "element %llu of '%s', which has %llu",
                     static_cast<unsigned long long>(element), base.name_of(target).c_str(),
                     static_cast<unsigned long long>(length));
}

status lengths_differ(const generation& base, const array_handle& target, std::uint64_t indices,
                      std::uint64_t values) {
  return make_status(status_code::length_mismatch, subsystem::engine,
                     "spans of one call have different lengths", "%llu and %llu for '%s'",
                     static_cast<unsigned long long>(indices),
                     static_cast<unsigned long long>(values), base.name_of(target).c_str());
}

status unsupported_merge(const generation& base, const array_handle& target, merge_operator op) {
  return make_status(status_code::type_mismatch, subsystem::engine,
                     "the merge operator is not defined for the element type", "%s on '%s'",
                     std::string(name_of(op)).c_str(), base.name_of(target).c_str());
}

}  // namespace

transaction::transaction() noexcept
    : error_(status_code::closed, subsystem::engine, "the transaction belongs to no engine") {}

transaction::transaction(std::shared_ptr<engine_core> core) noexcept : core_(std::move(core)) {
  if (core_ == nullptr || core_->is_closed()) {
    remember(status(status_code::closed, subsystem::engine, "the engine is closed"));
  }
}

transaction::transaction(transaction&& other) noexcept
    : core_(std::move(other.core_)),
      base_(std::move(other.base_)),
      delta_(std::move(other.delta_)),
      error_(other.error_),
      has_storage_(std::exchange(other.has_storage_, false)) {
  other.error_ = status(status_code::closed, subsystem::engine, "the transaction was moved from");
}

transaction& transaction::operator=(transaction&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  core_ = std::move(other.core_);
  base_ = std::move(other.base_);
  delta_ = std::move(other.delta_);
  error_ = other.error_;
  has_storage_ = std::exchange(other.has_storage_, false);
  other.error_ = status(status_code::closed, subsystem::engine, "the transaction was moved from");
  return *this;
}

transaction::~transaction() { give_back(); }

void transaction::give_back() noexcept {
  if (has_storage_ && core_ != nullptr) core_->give_back(std::move(delta_));
  has_storage_ = false;
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
    engine_core::write_lease lease = core_->take_lease();
    delta_ = std::move(lease.changes);
    if (base_ == nullptr) base_ = std::move(lease.base);
    has_storage_ = true;
  }
  return true;
}

void transaction::write_one(const array_handle& target, dtype type, merge_operator op,
                            std::uint64_t index, const void* value) noexcept {
  if (!is_writable()) return;
  const auto source = base_->source_of(target, type);
  if (!source) return remember(source.error());
  if (!supports(op, type)) return remember(unsupported_merge(*base_, target, op));
  if (index >= (*source)->length) {
    return remember(past_the_end(*base_, target, index, (*source)->length));
  }
  remember(delta_.set(target.id, type, op, index, value));
}

void transaction::write_range(const array_handle& target, dtype type, merge_operator op,
                              std::uint64_t first, const void* values, std::uint64_t count,
                              bool borrowed) noexcept {
  if (!is_writable()) return;
  const auto source = base_->source_of(target, type);
  if (!source) return remember(source.error());
  if (!supports(op, type)) return remember(unsupported_merge(*base_, target, op));
  const std::uint64_t length = (*source)->length;
  if (first > length || count > length - first) {
    return remember(past_the_end(*base_, target, first + count, length));
  }
  remember(borrowed ? delta_.range_borrowed(target.id, type, op, first, values, count)
                    : delta_.range(target.id, type, op, first, values, count));
}

template <class Index>
void transaction::write_scatter(const array_handle& target, dtype type, merge_operator op,
                                std::span<const Index> indices, const void* values,
                                std::uint64_t value_count, bool borrowed) noexcept {
  if (!is_writable()) return;
  const auto source = base_->source_of(target, type);
  if (!source) return remember(source.error());
  if (!supports(op, type)) return remember(unsupported_merge(*base_, target, op));
  if (indices.size() != value_count) {
    return remember(lengths_differ(*base_, target, indices.size(), value_count));
  }
  if (indices.empty()) return;
  const std::uint64_t highest = max_index(core_->apply_bodies(), indices);
  if (highest >= (*source)->length) {
    return remember(past_the_end(*base_, target, highest, (*source)->length));
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
  const auto found = base_->source_of(target, type);
  if (!found) return remember(found.error());
  const plan_source& source = **found;
  if (!supports(op, type)) return remember(unsupported_merge(*base_, target, op));
  const auto lines = static_cast<std::size_t>(std::popcount(mask));
  if (element_masks.size() != lines || payload.size() != lines * line_size) {
    return remember(lengths_differ(*base_, target, element_masks.size(), lines));
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
    return remember(past_the_end(*base_, target, end, source.length));
  }
  remember(delta_.lines(target.id, type, op, source.page, first_line, mask, element_masks.data(),
                        payload.data()));
}

result<epoch> transaction::commit() && {
  if (!error_.is_ok()) {
    const status why = error_;
    abort();
    return why;
  }
  commit_request request;
  request.changes = &delta_;
  result<epoch> done = core_->commit(request);
  end();
  return done;
}

void transaction::abort() noexcept {
  give_back();
  error_ = status(status_code::aborted, subsystem::engine, "the transaction was aborted");
}

}  // namespace sheaf::inline v0
