/// \file
/// Gathering what changed: masks by slot become records and packed lines in memory that a host
/// reads.
///
/// Terms
///   group   32 slots of the request, one warp's work. It takes room for all of its records and
///           lines in one step, or none.
///   claim   pages << 32 | lines: how much was asked for before, which is also where to write.
///
/// Invariants
///  1. `collect-in-order`: claims are handed out by one counter, so a record's lines lie behind
///     those of the record before it, and what was granted is a prefix of what was asked for.
///  2. A group that found no room leaves its masks as they are: the next call finds them.
///
/// Thread safety: groups are independent of one another; the counters are atomic.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/macros.hpp>
#include <sheaf/memory/device_ops.hpp>

#include "cuda/page/device_pages.hpp"
#include "cuda/page/scatter_bodies.hpp"

namespace sheaf::inline v0 {

inline constexpr std::uint32_t group_slots = 32;

/// Which slots, and what becomes of their masks.
struct collect_request {
  device_pages pages;
  line_mask* changed;              ///< by slot; cleared for slots that were taken
  line_mask* onto;                 ///< gains the masks that were taken, or null
  const page_class* classes;       ///< by slot; or null: all are `size`
  const std::uint32_t* slots;      ///< a list of distinct slots, or null: consecutive ones
  const std::uint32_t* observed;   ///< bit by slot: its lines go along; or null: all do
  std::uint32_t first_slot;        ///< of consecutive ones
  std::uint32_t count;             ///< slots looked at
  page_class size;
};

/// Where it goes.
struct collect_space {
  line_record* pages;
  std::byte* lines;
  std::uint32_t page_capacity;
  std::uint32_t line_capacity;
};
/// A group always fits an empty space that has at least these.
inline constexpr std::uint32_t collect_pages_min = group_slots;
inline constexpr std::uint32_t collect_lines_min = group_slots * page_lines_max;

struct collect_counters {
  std::uint64_t asked;    ///< the sum of all claims; at first 0
  std::uint64_t refused;  ///< the least claim that found no room; at first all ones
};
inline constexpr std::uint64_t no_claim = ~std::uint64_t{0};

[[nodiscard]] SHEAF_HD std::uint32_t pages_of_claim(std::uint64_t claim) noexcept {
  return static_cast<std::uint32_t>(claim >> 32);
}
[[nodiscard]] SHEAF_HD std::uint32_t lines_of_claim(std::uint64_t claim) noexcept {
  return static_cast<std::uint32_t>(claim);
}

/// Takes room for `pages` and `lines`: where it begins, or `no_claim`.
SHEAF_HD std::uint64_t claim_room(collect_counters* counters, const collect_space& space,
                                  std::uint32_t pages, std::uint32_t lines) noexcept {
  const std::uint64_t wanted = std::uint64_t{pages} << 32 | lines;
#if defined(__CUDA_ARCH__)
  using word = unsigned long long;
  const std::uint64_t at =
      atomicAdd(reinterpret_cast<word*>(&counters->asked), static_cast<word>(wanted));
#else
  const std::uint64_t at = std::atomic_ref<std::uint64_t>(counters->asked)
                               .fetch_add(wanted, std::memory_order_relaxed);
#endif
  const bool fits = std::uint64_t{pages_of_claim(at)} + pages <= space.page_capacity &&
                    std::uint64_t{lines_of_claim(at)} + lines <= space.line_capacity;
  if (fits) return at;
#if defined(__CUDA_ARCH__)
  atomicMin(reinterpret_cast<word*>(&counters->refused), static_cast<word>(at));
#else
  std::atomic_ref<std::uint64_t> refused(counters->refused);
  std::uint64_t least = refused.load(std::memory_order_relaxed);
  while (at < least && !refused.compare_exchange_weak(least, at, std::memory_order_relaxed)) {
  }
#endif
  return no_claim;
}

/// What was granted: the claim behind the last record.
[[nodiscard]] SHEAF_HD std::uint64_t granted(const collect_counters& counters) noexcept {
  return counters.refused < counters.asked ? counters.refused : counters.asked;
}

[[nodiscard]] SHEAF_HD std::uint32_t slot_at(const collect_request& request,
                                             std::uint32_t k) noexcept {
  return request.slots == nullptr ? request.first_slot + k : request.slots[k];
}
[[nodiscard]] SHEAF_HD bool is_observed(const collect_request& request,
                                        std::uint32_t slot) noexcept {
  return request.observed == nullptr || (request.observed[slot >> 5] >> (slot & 31) & 1) != 0;
}
[[nodiscard]] SHEAF_HD page_class class_at(const collect_request& request,
                                           std::uint32_t slot) noexcept {
  return request.classes == nullptr ? request.size : request.classes[slot];
}
/// What taking a slot does to its masks.
SHEAF_HD void take_mask(const collect_request& request, std::uint32_t slot,
                        line_mask lines) noexcept {
  request.changed[slot] = 0;
  if (request.onto != nullptr) note(request.onto, slot, lines);
}

/// One group by one thread: a host in place of a warp.
inline void collect_group(const collect_request& request, const collect_space& space,
                          collect_counters* counters, std::uint32_t group) noexcept {
  const std::uint32_t begin = group * group_slots;
  const std::uint32_t end =
      request.count - begin < group_slots ? request.count : begin + group_slots;
  std::uint32_t pages = 0, lines = 0;
  for (std::uint32_t k = begin; k < end; ++k) {
    const std::uint32_t slot = slot_at(request, k);
    if (request.changed[slot] == 0) continue;
    ++pages;
    if (is_observed(request, slot)) lines += line_count(request.changed[slot]);
  }
  if (pages == 0) return;
  const std::uint64_t at = claim_room(counters, space, pages, lines);
  if (at == no_claim) return;
  line_record* record = space.pages + pages_of_claim(at);
  std::byte* to = space.lines + std::size_t{lines_of_claim(at)} * line_size;
  for (std::uint32_t k = begin; k < end; ++k) {
    const std::uint32_t slot = slot_at(request, k);
    const line_mask mask = request.changed[slot];
    if (mask == 0) continue;
    *record++ = {slot, 0, mask};
    if (is_observed(request, slot)) {
      const std::byte* page = request.pages.page(slot, class_at(request, slot));
      for_each_line(mask, [&](unsigned line) {
        for (unsigned q = 0; q < line_quarters; ++q, to += sizeof(quarter)) {
          *reinterpret_cast<quarter*>(to) =
              reinterpret_cast<const quarter*>(page)[line * line_quarters + q];
        }
      });
    }
    take_mask(request, slot, mask);
  }
}

}  // namespace sheaf::inline v0
