#include "cuda/propagate/small_runner.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "cuda/page/packed_part.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr std::uint32_t space_pages = 4096;
constexpr std::uint32_t space_lines = 8192;
constexpr std::size_t pinned_bytes =
    sizeof(small_outcome) + space_pages * sizeof(line_record) + space_lines * line_size;
constexpr std::uint64_t card_bytes_free = std::uint64_t{64} << 20;
constexpr std::uint64_t page_bytes_per_card_byte = 16;
constexpr std::uint32_t skip_max = 1024;

bool may_have_cards(const device_plan_header& header) {
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < page_class_count; ++i) {
    bytes += header.pages_of_class[i] << (line_shift + i);
  }
  const std::uint64_t cards = header.slot_count * sizeof(slot_card);
  return cards <= std::max(card_bytes_free, bytes / page_bytes_per_card_byte);
}

}  // namespace

small_runner::~small_runner() {
  if (pinned_ != nullptr) static_cast<void>(cudaFreeHost(pinned_));
}

void small_runner::give_back() noexcept {
  has_cards_ = false;
  cards_.reset();
}

device_code small_runner::load(plan_memory& memory, device_error* why) {
  memory_ = &memory;
  has_cards_ = false;
  skip_ = 0;
  next_skip_ = 1;
  std::vector<slot_card> cards;
  if (may_have_cards(*memory.plan().header)) {
    cards = make_cards(memory.plan(), memory.frames(), memory.classes());
  }
  if (cards.empty()) {
    cards_.reset();
    return device_code::ok;
  }
  if (pinned_ == nullptr) {
    SHEAF_CUDA_TRY(device_, why, cudaMallocHost(&pinned_, pinned_bytes));
    std::memset(pinned_, 0, sizeof(small_outcome));
    SHEAF_CUDA_TRY(device_, why, prepare_small_commit());
  }
  const std::size_t bytes = cards.size() * sizeof(slot_card);
  if (!cards_) cards_.emplace(memory.blocks(), cuda_blocks());
  if (const device_code code = (*cards_)->resize(bytes, why); code != device_code::ok) {
    return code == device_code::out_of_memory ? device_code::ok : code;
  }
  SHEAF_CUDA_TRY(device_, why,
                 cudaMemcpyAsync((*cards_)->data(), cards.data(), bytes, cudaMemcpyHostToDevice,
                                 device_.stream));
  args_.view = memory.view();
  args_.cards = reinterpret_cast<const slot_card*>((*cards_)->data());
  args_.outcome = reinterpret_cast<small_outcome*>(pinned_);
  args_.space = {reinterpret_cast<line_record*>(pinned_ + sizeof(small_outcome)),
                 pinned_ + sizeof(small_outcome) + space_pages * sizeof(line_record), space_pages,
                 space_lines};
  has_cards_ = true;
  return wait(device_, "the cards of a plan", why);
}

bool small_runner::wants(const device_record& what) noexcept {
  if (!has_cards_ || what.page_count == 0 || what.page_count > small_pages_max ||
      what.line_count > small_lines_max) {
    return false;
  }
  if (skip_ == 0) return true;
  --skip_;
  return false;
}

device_code small_runner::pack(const device_record& what, device_error* why) noexcept {
  const slot_classes sources{memory_->classes().data(), memory_->source_slots()};
  if (const device_code code = check_record(what, sources, why); code != device_code::ok) {
    return code;
  }
  std::uint32_t lines = 0;
  for (std::uint32_t i = 0; i < what.page_count; ++i) {
    args_.pages[i] = {what.pages[i].slot, lines, what.pages[i].lines};
    lines += line_count(what.pages[i].lines);
  }
  std::memcpy(args_.lines, what.lines, std::size_t{lines} * line_size);
  args_.page_count = what.page_count;
  return device_code::ok;
}

device_code small_runner::wait_for_outcome(device_error* why) noexcept {
  using clock = std::chrono::steady_clock;
  const auto limit = std::chrono::duration<double>(device_.settings.deadline_seconds);
  const clock::time_point begin = clock::now();
  // Pairs with the release store of the device.
  const std::atomic_ref<std::uint64_t> number(args_.outcome->number);
  for (std::uint32_t round = 1; number.load(std::memory_order_acquire) != args_.number; ++round) {
    if (round % 1024 != 0) continue;
    const cudaError_t state = cudaStreamQuery(device_.stream);
    if (state != cudaSuccess && state != cudaErrorNotReady) {
      return fail(device_, state, "a small commit", why);
    }
    if (clock::now() - begin > limit) {
      return lose(device_, why, "a small commit: not done within %g s",
                  device_.settings.deadline_seconds);
    }
  }
  return device_code::ok;
}

device_code small_runner::run(const device_record& what, cudaEvent_t ended, device_record& changed,
                              bool& is_finished, device_error* why) noexcept {
  if (const device_code code = pack(what, why); code != device_code::ok) return code;
  ++args_.number;
  SHEAF_CUDA_TRY(device_, why, launch_small_commit(args_, device_.stream));
  if (ended != nullptr) SHEAF_CUDA_TRY(device_, why, cudaEventRecord(ended, device_.stream));
  if (const device_code code = wait_for_outcome(why); code != device_code::ok) return code;
  const small_outcome& got = *args_.outcome;
  changed = {args_.space.pages, args_.space.lines, got.pages, got.lines};
  is_finished = got.is_finished != 0;
  if (is_finished) {
    next_skip_ = 1;
  } else {
    skip_ = next_skip_;
    next_skip_ = std::min(next_skip_ * 2, skip_max);
  }
  return device_code::ok;
}

}  // namespace sheaf::inline v0
