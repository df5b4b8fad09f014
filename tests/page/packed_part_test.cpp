// Records on their way to a device: the wire form, what a scatter does with it, and what is
// refused.
#include <cstdlib>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "cuda/page/packed_part.hpp"
#include "cuda/page/record_cutter.hpp"
#include "cuda/page/scatter_bodies.hpp"
#include "page/device_rig.hpp"

namespace {

using namespace sheaf;
using page_test::device_rig;
using page_test::random_record;

TEST(PackedPart, WrittenByTileLeavesTheBitsOfACopy) {
  sheaf_test::random_numbers random(page_test::seed_of("PackedPart"));
  for (int round = 0; round < 200; ++round) {
    device_rig rig(random, 1 + random() % 200);
    const unsigned density = random() % 3;
    for (const bool has_masks : {false, true}) {
      for (const bool notes_equal : {false, true}) {
        random_record record(random, rig, density, has_masks);
        record.apply_to(rig, notes_equal);
        const std::vector<std::byte> part = record.encode(7);
        part_header header;
        std::memcpy(&header, part.data(), sizeof(header));
        ASSERT_EQ(header.magic, part_magic);
        ASSERT_EQ(header.number, 7u);
        ASSERT_LE(header.byte_count, part.size());
        const part_view view = part_at(header, part.data());
        ASSERT_EQ(view.page_count, record.pages.size());
        ASSERT_EQ(view.masks != nullptr, has_masks);
        // Any order of tiles gives the same bits.
        for (auto tile = tile_count(view.line_count); tile-- != 0;) {
          scatter_tile(view, rig.scatter(notes_equal), static_cast<std::uint32_t>(tile));
        }
        ASSERT_TRUE(rig.is_as_expected()) << "round " << round;
      }
    }
  }
}

TEST(PackedPart, BothFormsOccurAndTheSmallerIsTaken) {
  EXPECT_EQ(smaller_form(100, 100), part_form::by_line);
  EXPECT_EQ(smaller_form(100, 6400), part_form::by_page);
  EXPECT_EQ(part_bytes(100, 100, false), 64u + 6400 + 832);
}

TEST(PackedPart, BoundsAboveTheTrueCountsLeaveNoGaps) {
  sheaf_test::random_numbers random(page_test::seed_of("PackedPart"));
  for (int round = 0; round < 100; ++round) {
    device_rig rig(random, 1 + random() % 50);
    random_record record(random, rig, random() % 3, round % 2 == 0);
    record.apply_to(rig, true);
    record.slack_pages = random() % 5;
    record.slack_lines = random() % 300;
    const std::vector<std::byte> part = record.encode(1);
    part_header header;
    std::memcpy(&header, part.data(), sizeof(header));
    ASSERT_LE(header.byte_count,
              part_bytes(header.page_count, header.line_count, round % 2 == 0) + 16 * 50);
    const part_view view = part_at(header, part.data());
    for (std::uint32_t tile = 0; tile < tile_count(view.line_count); ++tile) {
      scatter_tile(view, rig.scatter(true), tile);
    }
    ASSERT_TRUE(rig.is_as_expected()) << "round " << round;
  }
}

TEST(PackedPart, ARecordTooLongForAPartGoesInSeveral) {
  sheaf_test::random_numbers random(page_test::seed_of("PackedPart"));
  for (int round = 0; round < 100; ++round) {
    device_rig rig(random, 1 + random() % 300);
    random_record record(random, rig, random() % 3, false);
    record.apply_to(rig, true);
    const std::vector<line_record> pages = record.line_records();
    const device_record whole = record.as_device_record(pages);
    const slot_classes slots{rig.classes.data(), rig.slot_count()};
    ASSERT_EQ(check_record(whole, slots, nullptr), device_code::ok);
    const std::size_t bytes_max = 4416 + 64 * (random() % 200);
    std::size_t parts = 0;
    for (record_cutter cutter(whole, slots, bytes_max); !cutter.is_at_end(); ++parts) {
      const std::size_t bytes = cutter.next();
      ASSERT_LE(bytes, bytes_max);
      page_test::aligned_bytes memory(bytes);
      ASSERT_LE(cutter.encode(memory.data(), parts), bytes);
      part_header header;
      std::memcpy(&header, memory.data(), sizeof(header));
      const part_view view = part_at(header, memory.data());
      for (std::uint32_t tile = 0; tile < tile_count(view.line_count); ++tile) {
        scatter_tile(view, rig.scatter(true), tile);
      }
    }
    ASSERT_GE(parts * bytes_max, std::size_t{whole.line_count} * line_size);
    ASSERT_TRUE(rig.is_as_expected()) << "round " << round;
  }
}

class DamagedRecord : public testing::Test {
 protected:
  DamagedRecord() : random_(1), rig_(random_, 20) {
    std::fill(rig_.classes.begin(), rig_.classes.end(), page_class::b256);
    pages_ = {{3, 0, 0x5}, {4, 0, 0xf}, {19, 0, 0x8}};
  }
  // The reason for which the record is refused.
  std::string reason(std::uint32_t lines = 7) {
    device_error why;
    const device_record record{pages_.data(), nullptr, static_cast<std::uint32_t>(pages_.size()),
                               lines};
    const device_code code = check_record(record, {rig_.classes.data(), rig_.slot_count()}, &why);
    EXPECT_EQ(code, why.code);
    return why.text;
  }
  sheaf_test::random_numbers random_;
  device_rig rig_;
  std::vector<line_record> pages_;
};

TEST_F(DamagedRecord, IsTakenWhileItIsNone) { EXPECT_EQ(reason(), ""); }
TEST_F(DamagedRecord, NamesTheSlotThatIsNotThere) {
  pages_[2].slot = 20;
  EXPECT_EQ(reason(), "record 2: slot 20 of 20");
}
TEST_F(DamagedRecord, NamesTheSlotThatDoesNotRise) {
  pages_[1].slot = 3;
  EXPECT_EQ(reason(), "record 1: slot 3 after slot 3; slots rise");
}
TEST_F(DamagedRecord, NamesTheLinesPastThePage) {
  pages_[1].lines = 0x10;
  EXPECT_EQ(reason(), "record 1: lines 0x10 of a page of 4");
  pages_[1].lines = 0;
  EXPECT_EQ(reason(), "record 1: lines 0 of a page of 4");
}
TEST_F(DamagedRecord, NamesAWrongCount) {
  EXPECT_EQ(reason(8), "records name 7 lines, 8 are there");
}

TEST(LineOfRank, IsThePlaceOfTheSetBit) {
  sheaf_test::random_numbers random(page_test::seed_of("LineOfRank"));
  for (int round = 0; round < 1000; ++round) {
    const line_mask mask = page_test::random_mask(random, random() % 3);
    unsigned rank = 0;
    for_each_line(mask, [&](unsigned line) { ASSERT_EQ(line_of_rank(mask, rank++), line); });
  }
}

TEST(Blend, TakesTheBytesWhoseBitsAreSet) {
  sheaf_test::random_numbers random(page_test::seed_of("Blend"));
  for (unsigned bytes = 0; bytes < 0x10000; ++bytes) {
    quarter old, value;
    const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
    old = {word(), word()};
    value = {word(), word()};
    const quarter merged = blend(old, value, bytes);
    const auto byte_of = [](const quarter& q, unsigned i) {
      return reinterpret_cast<const unsigned char*>(&q)[i];
    };
    for (unsigned i = 0; i < 16; ++i) {
      ASSERT_EQ(byte_of(merged, i), byte_of((bytes >> i & 1) != 0 ? value : old, i));
    }
  }
}

}  // namespace
