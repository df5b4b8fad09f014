/// \file
/// Plans that have pages and nothing else: what `plan_pages` is given in tests.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/propagate/plan_pages.hpp"

namespace device_test {

using namespace sheaf;

/// A plan of source arrays alone, a page each.
struct plan_of {
  explicit plan_of(const std::vector<page_class>& of_slot) {
    header.slot_count = header.source_count = static_cast<std::uint32_t>(of_slot.size());
    for (const page_class size : of_slot) {
      pages.push_back(static_cast<std::uint8_t>(size));
      slots.push_back({static_cast<std::uint32_t>(slots.size()), 0, 0, 0});
    }
  }
  /// `counts` pages of each class, the classes mixed.
  explicit plan_of(const class_counts& counts) : plan_of(mixed(counts)) {}
  [[nodiscard]] device_plan view() const {
    device_plan made{};
    made.header = &header;
    made.slots = slots.data();
    made.source_pages = pages.data();
    return made;
  }
  static std::vector<page_class> mixed(class_counts counts) {
    std::vector<page_class> made;
    for (bool is_more = true; is_more;) {
      is_more = false;
      for (unsigned i = 0; i < page_class_count; ++i) {
        if (counts[i] == 0) continue;
        --counts[i];
        made.push_back(static_cast<page_class>(i));
        is_more = true;
      }
    }
    return made;
  }
  device_plan_header header{};
  std::vector<device_slot> slots;
  std::vector<std::uint8_t> pages;
};

}  // namespace device_test
