// Pages of a device in host memory, random records for them, and what a plain copy makes of both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "cuda/page/packed_part.hpp"
#include "cuda/page/scatter_bodies.hpp"
#include "page/random.hpp"

namespace page_test {

using namespace sheaf;
using sheaf_test::random_numbers;

// From SHEAF_SEED, or fixed; printed.
inline std::uint32_t seed_of(const char* name) {
  const char* given = std::getenv("SHEAF_SEED");
  const auto seed =
      given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : 20260u;
  std::printf("%s: SHEAF_SEED=%u\n", name, seed);
  return seed;
}

class aligned_bytes {
 public:
  explicit aligned_bytes(std::size_t size)
      : data_(static_cast<std::byte*>(::operator new (size + 1, std::align_val_t{line_size}))),
        size_(size) {
    std::memset(data_, 0, size);
  }
  aligned_bytes(const aligned_bytes&) = delete;
  aligned_bytes& operator=(const aligned_bytes&) = delete;
  ~aligned_bytes() { ::operator delete (data_, std::align_val_t{line_size}); }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_;
  std::size_t size_;
};

// Few, some or nearly all lines; never none.
inline line_mask random_mask(random_numbers& random, unsigned density) {
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  if (density == 0) return line_mask{1} << random() % 64;
  line_mask mask = density == 1 ? word() & word() & word() : word() | word() | word();
  if (random() % 4 == 0 && density == 2) mask = ~line_mask{0};
  return mask == 0 ? 1 : mask;
}

// Slots of mixed classes whose frames lie shuffled; a copy of all bytes and masks is kept as what
// is expected.
struct device_rig {
  device_rig(random_numbers& random, std::uint32_t slots) : classes(slots), frames(slots) {
    std::vector<std::uint32_t> count(page_class_count, 0);
    const bool is_uniform = random() % 2 == 0;
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      classes[slot] = is_uniform ? page_class::b4k : page_class(random() % page_class_count);
      frames[slot] = count[static_cast<unsigned>(classes[slot])]++;
    }
    for (unsigned size = 0; size < page_class_count; ++size) {
      std::vector<std::uint32_t> order(count[size]);
      std::iota(order.begin(), order.end(), 0u);
      for (std::uint32_t i = count[size]; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
      for (std::uint32_t slot = 0; slot < slots; ++slot) {
        if (classes[slot] == page_class(size)) frames[slot] = order[frames[slot]];
      }
      memory.push_back(std::make_unique<aligned_bytes>(count[size] * bytes_of(page_class(size))));
      std::byte* to = memory.back()->data();
      for (std::size_t i = 0; i < memory.back()->size(); ++i) to[i] = std::byte(random() & 3);
      expected.emplace_back(to, to + memory.back()->size());
    }
    changed.assign(slots, 0);
    expected_changed.assign(slots, 0);
  }

  [[nodiscard]] std::uint32_t slot_count() const {
    return static_cast<std::uint32_t>(classes.size());
  }
  [[nodiscard]] device_pages pages() const {
    device_pages made{};
    for (unsigned size = 0; size < page_class_count; ++size) made.base[size] = memory[size]->data();
    made.frames = frames.data();
    return made;
  }
  [[nodiscard]] device_scatter scatter(bool notes_equal_lines) {
    return {pages(), changed.data(), notes_equal_lines};
  }
  [[nodiscard]] std::byte* expected_page(std::uint32_t slot) {
    const auto size = static_cast<unsigned>(classes[slot]);
    return expected[size].data() + frames[slot] * bytes_of(classes[slot]);
  }
  [[nodiscard]] bool is_as_expected() const {
    for (unsigned size = 0; size < page_class_count; ++size) {
      if (!std::equal(expected[size].begin(), expected[size].end(), memory[size]->data())) {
        return false;
      }
    }
    return changed == expected_changed;
  }

  std::vector<page_class> classes;
  std::vector<std::uint32_t> frames;
  std::vector<std::unique_ptr<aligned_bytes>> memory;
  std::vector<std::vector<std::byte>> expected;
  std::vector<line_mask> changed, expected_changed;
};

// Some lines of some pages, with bytes of few values so that equal lines occur.
struct random_record {
  struct page {
    std::uint32_t slot;
    page_class size;
    line_mask lines;
  };

  random_record(random_numbers& random, const device_rig& rig, unsigned density, bool with_masks)
      : has_masks(with_masks) {
    const unsigned kept = 1 + random() % 4;
    for (std::uint32_t slot = 0; slot < rig.slot_count(); ++slot) {
      if (random() % kept != 0) continue;
      const page_class size = rig.classes[slot];
      line_mask mask = random_mask(random, density) & first_lines(lines_of(size));
      if (mask == 0) mask = 1;
      pages.push_back({slot, size, mask});
      for_each_line(mask, [&](unsigned line) {
        const bool is_same = random() % 3 == 0;
        const auto which = static_cast<unsigned>(size);
        const std::byte* old =
            rig.expected[which].data() + rig.frames[slot] * bytes_of(size) + line * line_size;
        for (unsigned b = 0; b < line_size; ++b) {
          bytes.push_back(is_same ? old[b] : std::byte(random() & 3));
        }
        if (with_masks) masks.push_back(std::uint64_t{random()} << 32 | random());
      });
    }
  }

  [[nodiscard]] std::size_t line_total() const { return bytes.size() / line_size; }

  // Byte by byte.
  void apply_to(device_rig& rig, bool notes_equal_lines) const {
    std::size_t k = 0;
    for (const page& each : pages) {
      for_each_line(each.lines, [&](unsigned line) {
        std::byte* to = rig.expected_page(each.slot) + line * line_size;
        bool differs = false;
        for (unsigned b = 0; b < line_size; ++b) {
          if (has_masks && (masks[k] >> b & 1) == 0) continue;
          differs |= to[b] != bytes[k * line_size + b];
          to[b] = bytes[k * line_size + b];
        }
        if (differs || notes_equal_lines) rig.expected_changed[each.slot] |= line_mask{1} << line;
        ++k;
      });
    }
  }

  [[nodiscard]] std::vector<std::byte> encode(std::uint64_t number) const {
    const auto page_max = static_cast<std::uint32_t>(pages.size()) + slack_pages;
    const auto line_max = static_cast<std::uint32_t>(line_total()) + slack_lines;
    aligned_bytes memory(part_bytes(page_max, line_max, has_masks));
    part_encoder encoder(memory.data(), page_max, line_max, has_masks);
    std::size_t k = 0;
    for (const page& each : pages) {
      const std::uint64_t* own_masks = has_masks ? masks.data() + k : nullptr;
      if (each.slot % 2 == 0) {
        encoder.append_packed(each.slot, each.size, each.lines, bytes.data() + k * line_size,
                              own_masks);
      } else {
        std::vector<std::byte> whole(bytes_of(each.size));
        std::size_t n = k;
        for_each_line(each.lines, [&](unsigned line) {
          std::memcpy(whole.data() + line * line_size, bytes.data() + n++ * line_size, line_size);
        });
        encoder.append(each.slot, each.size, each.lines, whole.data(), own_masks);
      }
      k += line_count(each.lines);
    }
    const std::uint64_t used = encoder.end(number);
    return {memory.data(), memory.data() + used};
  }

  [[nodiscard]] std::vector<line_record> line_records() const {
    std::vector<line_record> made;
    for (const page& each : pages) made.push_back({each.slot, 0, each.lines});
    return made;
  }
  [[nodiscard]] device_record as_device_record(const std::vector<line_record>& records) const {
    return {records.data(), bytes.data(), static_cast<std::uint32_t>(records.size()),
            static_cast<std::uint32_t>(line_total())};
  }

  std::vector<page> pages;
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> masks;
  bool has_masks;
  std::uint32_t slack_pages = 0, slack_lines = 0;
};

}  // namespace page_test
