/// \file
/// What only some transactions have: reads, a tag, savepoints. Made when first needed.
///
/// Thread safety: as its transaction.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <sheaf/engine/snapshot.hpp>
#include <sheaf/engine/transaction.hpp>
#include <sheaf/page/delta.hpp>

#include "engine/record_ring.hpp"

namespace sheaf::inline v0 {

/// Who and why, side by side.
struct tag_store {
  static constexpr std::size_t text_size_max = transaction::who_size_max +
                                               transaction::why_size_max;
  std::uint16_t who_size = 0;
  std::uint16_t why_size = 0;
  char text[text_size_max] = {};

  [[nodiscard]] std::size_t size() const noexcept { return std::size_t{who_size} + why_size; }
  void set(std::string_view who, std::string_view why) noexcept {
    who_size = static_cast<std::uint16_t>(who.size());
    why_size = static_cast<std::uint16_t>(why.size());
    std::copy(who.begin(), who.end(), text);
    std::copy(why.begin(), why.end(), text + who.size());
  }
};

/// Which lines a transaction read, and of what epoch.
struct read_set {
  std::uint64_t epoch = 0;          ///< of the snapshot; 0: nothing was read
  std::vector<read_page> pages;     ///< `settle` sorts and joins them
  std::vector<std::uint32_t> derived;  ///< producers that are not sources, each once

  [[nodiscard]] bool is_empty() const noexcept { return epoch == 0; }
  [[nodiscard]] std::size_t byte_size() const noexcept { return pages.size() * sizeof(read_page); }
  /// Throws `std::bad_alloc`.
  void add(std::uint32_t slot, line_mask lines) {
    if (!pages.empty() && pages.back().slot == slot) {
      pages.back().lines |= lines;
      return;
    }
    // What is read again and again stays one entry.
    if (pages.size() >= settle_at_) {
      settle();
      settle_at_ = std::max<std::size_t>(64, pages.size() * 2);
    }
    pages.push_back({slot, lines});
  }
  void add_derived(std::uint32_t producer) {
    if (std::find(derived.begin(), derived.end(), producer) == derived.end()) {
      derived.push_back(producer);
    }
  }
  /// Sorts the pages by slot, each once.
  void settle() noexcept {
    std::sort(pages.begin(), pages.end(),
              [](const read_page& a, const read_page& b) { return a.slot < b.slot; });
    std::size_t kept = 0;
    for (const read_page& page : pages) {
      if (kept != 0 && pages[kept - 1].slot == page.slot) {
        pages[kept - 1].lines |= page.lines;
      } else {
        pages[kept++] = page;
      }
    }
    pages.resize(kept);
  }

 private:
  std::size_t settle_at_ = 64;
};

struct transaction_state {
  struct saved {
    std::uint64_t stamp;
    delta::mark mark;
  };
  isolation level = isolation::serializable;
  pin_share pin;  ///< of the first read until the commit
  read_set reads;
  bool is_tagged = false;
  tag_store tag;
  std::uint64_t stamp = 0;  ///< of the newest savepoint ever
  std::vector<saved> savepoints;
};

}  // namespace sheaf::inline v0
