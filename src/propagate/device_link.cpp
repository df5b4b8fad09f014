#include "propagate/device_link.hpp"

#include <new>
#include <utility>

#include <sheaf/propagate/device_plan.hpp>

namespace sheaf::inline v0 {

result<std::shared_ptr<device_link>> device_link::open(const device_ops& ops,
                                                       const device_settings& settings,
                                                       bool automatic) {
  device_error why;
  device_info info{};
  if (settings.index >= ops.count(&why)) {
    return make_status(status_code::unsupported, subsystem::propagate, "no such device",
                       "device %u: %s", settings.index, why.text);
  }
  device_context* device = nullptr;
  if (ops.describe(settings.index, &info, &why) != device_code::ok ||
      ops.open(&settings, &device, &why) != device_code::ok) {
    return make_status(status_code::unsupported, subsystem::propagate,
                       "the device cannot be opened", "%s", why.text);
  }
  return std::shared_ptr<device_link>(new device_link(ops, device, info, automatic));
}

device_link::device_link(const device_ops& ops, device_context* device, const device_info& info,
                         bool automatic)
    : ops_(ops), device_(device), is_automatic_(automatic), name_(info.name) {}
device_link::~device_link() { ops_.close(device_); }

std::string device_link::words() const {
  const mutex_lock lock(mutex_);
  if (state() != device_state::ready) return reason_;
  return beside_.empty() ? name_ : name_ + "; " + beside_;
}

void device_link::say_beside(std::string words) noexcept {
  const mutex_lock lock(mutex_);
  beside_ = std::move(words);
}

void device_link::refuse(const status& why) noexcept {
  const mutex_lock lock(mutex_);
  try {
    reason_ = why.message();
  } catch (const std::bad_alloc&) {
    reason_.clear();  // the state says it without words
  }
  state_.store(device_state::refused, std::memory_order_release);  // pairs with `state`
}

void device_link::forget_refusal() noexcept {
  if (state() == device_state::refused) {
    state_.store(device_state::ready, std::memory_order_release);  // pairs with `state`
  }
}

bool device_link::note(device_code code, const device_error& why) noexcept {
  if (code == device_code::ok) return true;
  const bool is_lost = code == device_code::lost || code == device_code::absent;
  refuse(make_status(is_lost ? status_code::failed : status_code::unsupported, subsystem::propagate,
                     is_lost ? "the device is lost" : "the device refused", "%s", why.text));
  if (is_lost) state_.store(device_state::lost, std::memory_order_release);  // pairs with `state`
  return false;
}

bool device_link::load_plan(const device_section* sections) noexcept {
  if (state() != device_state::ready) return false;
  ++load_number_;
  device_error why;
  return note(ops_.load_plan(device_, sections, plan_section_count, &why), why);
}
bool device_link::write(const device_record& what) noexcept {
  if (state() != device_state::ready) return false;
  device_error why;
  return note(ops_.write(device_, &what, &why), why);
}
bool device_link::commit(std::uint32_t stage, const device_record& what,
                         device_record& changed) noexcept {
  if (state() != device_state::ready) return false;
  device_error why;
  return note(ops_.commit(device_, stage, &what, &changed, &why), why);
}
device_figures device_link::figures() const noexcept {
  device_figures found{};
  ops_.figures(device_, &found);
  return found;
}

}  // namespace sheaf::inline v0
