#include <sheaf/engine/subscription.hpp>

#include <algorithm>

#include "engine/engine_core.hpp"

namespace sheaf::inline v0 {

subscription::subscription() noexcept
    : error_(status_code::closed, subsystem::engine, "the subscription is not open") {}
subscription::subscription(const status& error) noexcept : error_(error) {}
subscription::subscription(subscription&&) noexcept = default;
subscription& subscription::operator=(subscription&&) noexcept = default;
subscription::~subscription() = default;

subscription::subscription(std::shared_ptr<engine_core> core, std::vector<array_id> arrays)
    : core_(std::move(core)),
      arrays_(std::move(arrays)),
      at_(std::make_unique<record_position>(core_->records().newest())) {
  std::sort(arrays_.begin(), arrays_.end());
}

bool subscription::poll(change_event& next) {
  next = {};
  if (core_ == nullptr) return false;
  while (true) {
    next.record = core_->records().next(*at_, next.missed);
    if (!next.record) return next.missed != 0;
    next.record.for_each_page([&](const changed_page& page) {
      if (arrays_.empty() || std::binary_search(arrays_.begin(), arrays_.end(), page.array)) {
        next.pages.push_back(page);
      }
    });
    if (!next.pages.empty() || next.missed != 0) return true;
  }
}

bool subscription::wait(change_event& next, std::chrono::nanoseconds at_most) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  while (!poll(next)) {
    const auto left = until - std::chrono::steady_clock::now();
    if (core_ == nullptr || left <= left.zero() || core_->is_closed()) return false;
    core_->wait_for_record(at_->serial, left);
  }
  return true;
}

}  // namespace sheaf::inline v0
