/// Every apply body of every instruction set against the naive reference, bit for bit, with frames
/// that move when they are touched, and guard frames around everything.
#include <algorithm>
#include <memory>
#include <new>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <sheaf/page/delta_apply.hpp>

#include "page/delta_reference.hpp"

namespace sheaf_test {
namespace {

/// Pages of one array in an arena whose frames lie in shuffled order; `touch` copies a page to a
/// new frame, as a commit does when a snapshot needs the old one.
class moving_pages {
 public:
  moving_pages(dtype type, page_class size, std::uint32_t page_count, std::mt19937_64& random)
      : type_(type), size_(size), page_count_(page_count) {
    frame_count_ = 2 * page_count + 2;
    arena_bytes_ = frame_count_ * bytes_of(size);
    arena_ = allocate(arena_bytes_);
    fill_awkward(arena_.get(), arena_bytes_ >> size_shift(type), type, random);
    std::vector<std::uint32_t> order(frame_count_);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    frames_.assign(order.begin(), order.begin() + page_count);
    fresh_.assign(order.begin() + page_count, order.begin() + 2 * page_count);
    old_frames_ = frames_;
    before_.assign(arena_.get(), arena_.get() + arena_bytes_);
    masks_.assign(page_count, 0);
    touched_.assign(page_count / 64 + 1, 0);
    touch_counts_.assign(page_count, 0);
  }

  scatter_target target() {
    return {.frames = frames_.data(),
            .base = arena_.get(),
            .page_shift = page_shift(),
            .frame_shift = byte_shift(size_),
            .masks = masks_.data(),
            .touched = touched_.data(),
            .context = this,
            .touch = [](void* self, std::uint32_t page) {
              static_cast<moving_pages*>(self)->touch(page);
            }};
  }
  std::uint32_t page_shift() const { return byte_shift(size_) - size_shift(type_); }
  std::uint64_t length() const { return std::uint64_t{page_count_} << page_shift(); }
  std::byte* page(std::uint32_t p) { return arena_.get() + frames_[p] * bytes_of(size_); }

  void expect_applied(const delta_piece& piece) const { expect_applied({&piece, 1}); }
  /// Checks everything against applying `pieces` naively: all bytes of the arena, the masks, and
  /// that exactly the pages with a change were touched, once.
  void expect_applied(std::span<const delta_piece> pieces) const {
    std::vector<std::byte> expected = before_;
    std::vector<line_mask> masks(page_count_, 0);
    std::vector<unsigned> touches(page_count_, 0);
    const std::size_t bytes = bytes_of(size_);
    for (const auto& [op, each] : changes_in(pieces)) {
      const std::uint64_t p = each.index >> page_shift();
      const std::size_t within = (each.index - (p << page_shift())) << size_shift(type_);
      std::byte* frame = expected.data() + fresh_[p] * bytes;
      if (touches[p] == 0) {
        std::memcpy(frame, expected.data() + old_frames_[p] * bytes, bytes);
        touches[p] = 1;
      }
      std::uint64_t old = 0;
      std::memcpy(&old, frame + within, size_of(type_));
      const std::uint64_t now = naive_merge(op, type_, old, each.value);
      std::memcpy(frame + within, &now, size_of(type_));
      if (now != old) masks[p] |= line_mask{1} << within / line_size;
    }
    EXPECT_EQ(touch_counts_, touches);
    EXPECT_EQ(masks_, masks);
    for (std::size_t i = 0; i < arena_bytes_; ++i) {
      ASSERT_EQ(arena_.get()[i], expected[i]) << "byte " << i % bytes << " of frame " << i / bytes;
    }
  }

 private:
  static std::vector<std::pair<merge_operator, single_change>> changes_in(
      std::span<const delta_piece> pieces) {
    std::vector<std::pair<merge_operator, single_change>> all;
    for (const delta_piece& piece : pieces) {
      for (const single_change& each : changes_of(piece)) all.emplace_back(piece.op, each);
    }
    return all;
  }
  struct line_aligned_delete {
    void operator()(std::byte* bytes) const { operator delete[](bytes, std::align_val_t{64}); }
  };
  using aligned_bytes = std::unique_ptr<std::byte[], line_aligned_delete>;
  static aligned_bytes allocate(std::size_t size) {
    return aligned_bytes(static_cast<std::byte*>(operator new[](size, std::align_val_t{64})));
  }
  void touch(std::uint32_t page) {
    ++touch_counts_.at(page);
    const std::size_t bytes = bytes_of(size_);
    std::memcpy(arena_.get() + fresh_[page] * bytes, arena_.get() + frames_[page] * bytes, bytes);
    frames_[page] = fresh_[page];
    touched_[page / 64] |= std::uint64_t{1} << page % 64;
  }

  dtype type_;
  page_class size_;
  std::uint32_t page_count_, frame_count_;
  std::size_t arena_bytes_;
  aligned_bytes arena_;
  std::vector<std::byte> before_;
  std::vector<std::uint32_t> frames_, old_frames_, fresh_;
  std::vector<line_mask> masks_;
  std::vector<std::uint64_t> touched_;
  std::vector<unsigned> touch_counts_;
};

class ApplyBodies : public testing::TestWithParam<isa> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam())) {
      GTEST_SKIP() << name_of(GetParam()) << " cannot run on this machine or is not in this build";
    }
    table_ = apply_of(GetParam());
    ASSERT_NE(table_, nullptr);
    ASSERT_EQ(table_->set, GetParam());
  }

  /// Calls `check(op, type)` for every defined combination.
  template <class Check>
  void for_each_body(Check&& check) {
    for (const merge_operator op : all_operators) {
      for (const dtype type : all_types) {
        if (!supports(op, type)) continue;
        SCOPED_TRACE(std::string(name_of(op)) + " of " + std::string(name_of(type)));
        check(op, type);
        if (HasFatalFailure()) return;
      }
    }
  }

  page_class any_size() { return page_class(random_() % page_class_count); }

  const apply_table* table_ = nullptr;
  std::mt19937_64 random_{test_seed()};
};

TEST_P(ApplyBodies, AreThereExactlyWhereTheOperatorIsDefined) {
  for (const merge_operator op : all_operators) {
    for (const dtype type : all_types) {
      const auto o = static_cast<unsigned>(op), t = static_cast<unsigned>(type);
      const bool is_defined = supports(op, type);
      EXPECT_EQ(table_->range[o][t] != nullptr, is_defined);
      EXPECT_EQ(table_->scatter32[o][t] != nullptr, is_defined);
      EXPECT_EQ(table_->scatter64[o][t] != nullptr, is_defined);
      EXPECT_EQ(table_->lines[o][t] != nullptr, is_defined);
    }
  }
}

TEST_P(ApplyBodies, RangesGiveTheReferenceBits) {
  for_each_body([&](merge_operator op, dtype type) {
    for (int round = 0; round < 40; ++round) {
      moving_pages pages(type, any_size(), 1 + static_cast<std::uint32_t>(random_() % 5), random_);
      const std::uint64_t first = random_() % pages.length();
      const std::uint64_t most = pages.length() - first;
      const std::uint64_t count =
          1 + random_() % (round % 4 == 0 ? std::min<std::uint64_t>(most, 9) : most);
      // One byte off any alignment: the host's memory need not have one.
      std::vector<std::byte> bytes(count * size_of(type) + 1);
      fill_awkward(bytes.data() + 1, count, type, random_);
      delta changes;
      ASSERT_TRUE(changes.range_borrowed({}, type, op, first, bytes.data() + 1, count).is_ok());
      apply(*table_, pages.target(), changes.pieces()[0]);
      pages.expect_applied(changes.pieces()[0]);
      EXPECT_EQ(element_end(*table_, changes.pieces()[0]), first + count);
    }
  });
}

template <class Index>
void check_scatter(const apply_table& table, std::mt19937_64& random, merge_operator op, dtype type,
                   page_class size) {
  // Few elements in few pages, so that indices meet again within one scatter.
  moving_pages pages(type, size, 1 + static_cast<std::uint32_t>(random() % 70), random);
  const std::uint64_t span =
      random() % 3 == 0 ? std::min<std::uint64_t>(7, pages.length()) : pages.length();
  std::vector<Index> indices(1 + random() % 200);
  for (Index& index : indices) index = static_cast<Index>(random() % span);
  std::vector<std::byte> bytes(indices.size() * size_of(type) + 1);
  fill_awkward(bytes.data() + 1, indices.size(), type, random);
  delta changes;
  ASSERT_TRUE(
      changes.scatter_borrowed({}, type, op, std::span<const Index>(indices), bytes.data() + 1)
          .is_ok());
  apply(table, pages.target(), changes.pieces()[0]);
  pages.expect_applied(changes.pieces()[0]);
  EXPECT_EQ(element_end(table, changes.pieces()[0]),
            *std::max_element(indices.begin(), indices.end()) + std::uint64_t{1});
}

TEST_P(ApplyBodies, ScattersGiveTheReferenceBitsInIndexOrderAndTouchEachPageOnce) {
  for_each_body([&](merge_operator op, dtype type) {
    for (int round = 0; round < 15; ++round) {
      check_scatter<std::uint32_t>(*table_, random_, op, type, any_size());
      check_scatter<std::uint64_t>(*table_, random_, op, type, any_size());
    }
  });
}

TEST_P(ApplyBodies, LinesGiveTheReferenceBitsOfMaskedElementsOnly) {
  for_each_body([&](merge_operator op, dtype type) {
    for (int round = 0; round < 40; ++round) {
      const page_class size = any_size();
      moving_pages pages(type, size, 3, random_);
      // A piece may be cut for smaller pages than the array has.
      const auto piece_size = page_class(random_() % (static_cast<unsigned>(size) + 1));
      const unsigned piece_lines = lines_of(piece_size);
      const std::uint64_t line_count = std::uint64_t{3} * lines_of(size);
      const std::uint64_t first_line = random_() % (line_count / piece_lines) * piece_lines;
      const line_mask mask = (random_() & first_lines(piece_lines)) | 1;
      const std::uint64_t whole = first_lines(64u >> size_shift(type));
      std::vector<std::uint64_t> elements(static_cast<std::size_t>(std::popcount(mask)));
      for (std::uint64_t& each : elements) each = random_() % 4 == 0 ? whole : random_() & whole;
      elements[0] |= 1;  // a page that gets no change at all may be touched all the same
      std::vector<std::byte> bytes(elements.size() * line_size + 1);
      fill_awkward(bytes.data() + 1, elements.size() * line_size >> size_shift(type), type,
                   random_);
      delta changes;
      ASSERT_TRUE(
          changes
              .lines({}, type, op, piece_size, first_line, mask, elements.data(), bytes.data() + 1)
              .is_ok());
      delta_piece piece = changes.pieces()[0];
      piece.values = bytes.data() + 1;
      apply(*table_, pages.target(), piece);
      pages.expect_applied(piece);
      std::uint64_t end = 0;
      for (const single_change& each : changes_of(piece)) end = std::max(end, each.index + 1);
      EXPECT_EQ(element_end(*table_, piece), end);
    }
  });
}

TEST_P(ApplyBodies, PiecesOfOneDeltaTouchAPageOnceTogether) {
  moving_pages pages(dtype::u64, page_class::b256, 3, random_);
  std::vector<std::uint64_t> values(96);
  fill_awkward(reinterpret_cast<std::byte*>(values.data()), 96, dtype::u64, random_);
  const std::uint32_t indices[] = {1, 40, 1};
  const std::uint64_t elements[] = {0x81};
  delta changes;
  const auto op = merge_operator::add;
  ASSERT_TRUE(changes.range({}, dtype::u64, op, 0, values.data(), 40).is_ok());
  ASSERT_TRUE(
      changes.lines({}, dtype::u64, op, page_class::b64, 4, 1, elements, values.data()).is_ok());
  ASSERT_TRUE(
      changes.scatter({}, dtype::u64, op, std::span<const std::uint32_t>(indices), values.data())
          .is_ok());
  ASSERT_TRUE(changes.range({}, dtype::u64, op, 20, values.data(), 20).is_ok());
  for (const delta_piece& piece : changes.pieces()) apply(*table_, pages.target(), piece);
  pages.expect_applied(changes.pieces());
}

TEST_P(ApplyBodies, EqualBitsChangeNoLine) {
  for_each_body([&](merge_operator op, dtype type) {
    if (op != merge_operator::assign) return;
    moving_pages pages(type, page_class::b4k, 1, random_);
    std::vector<std::byte> same(pages.page(0), pages.page(0) + 4096);
    same[64 * 17] ^= std::byte{1};
    const auto count = static_cast<std::uint32_t>(4096 >> size_shift(type));
    const auto o = static_cast<unsigned>(op), t = static_cast<unsigned>(type);
    EXPECT_EQ(table_->range[o][t](pages.page(0), same.data(), 0, count), line_mask{1} << 17);
    EXPECT_EQ(table_->range[o][t](pages.page(0), same.data(), 0, count), 0u);
  });
}

TEST_P(ApplyBodies, FindTheGreatestIndex) {
  EXPECT_EQ(max_index(*table_, std::span<const std::uint32_t>()), 0u);
  EXPECT_EQ(max_index(*table_, std::span<const std::uint64_t>()), 0u);
  for (std::size_t count = 1; count < 100; ++count) {
    std::vector<std::uint32_t> narrow(count);
    std::vector<std::uint64_t> wide(count);
    for (std::size_t i = 0; i < count; ++i) {
      narrow[i] = static_cast<std::uint32_t>(random_());
      wide[i] = random_();
    }
    EXPECT_EQ(max_index(*table_, std::span<const std::uint32_t>(narrow)),
              *std::max_element(narrow.begin(), narrow.end()));
    EXPECT_EQ(max_index(*table_, std::span<const std::uint64_t>(wide)),
              *std::max_element(wide.begin(), wide.end()));
  }
  delta changes;
  const std::uint64_t last = ~std::uint64_t{0};
  ASSERT_TRUE(changes.set(array_id{0}, merge_operator::assign, last, 1.0f).is_ok());
  EXPECT_EQ(element_end(*table_, changes.pieces()[0]), last) << "one past it would be zero";
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, ApplyBodies,
                         testing::Values(isa::scalar, isa::avx2, isa::avx512),
                         [](const auto& each) { return std::string(name_of(each.param)); });

}  // namespace
}  // namespace sheaf_test
