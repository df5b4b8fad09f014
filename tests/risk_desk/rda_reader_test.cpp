/// \file
/// The reader on a file it should read, and on every way of damaging one that we could think of.
#include <risk_desk/rda_reader.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "risk_desk/synthetic_rda.hpp"

namespace risk_desk {
namespace {

using sheaf::status_code;
using test::pack_bzip2;
using test::rda_writer;
using test::synthetic_rda;

/// True where the detail names a byte within the input, or the shape that does not fit.
bool says_where(const sheaf::status& error) {
  if (error.text() == "rda file of another shape") return !error.detail().empty();
  const std::string detail(error.detail());
  const std::size_t at = detail.find("byte ");
  std::size_t byte = 0;
  std::size_t size = 0;
  return at != std::string::npos &&
         std::sscanf(detail.c_str() + at, "byte %zu of %zu", &byte, &size) == 2 && byte <= size;
}

TEST(RdaReader, ReadsBothMatricesOfAWellFormedFile) {
  const auto table = parse_rda(synthetic_rda());
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_EQ(table->days, 4u);
  EXPECT_EQ(table->stocks, 3u);
  ASSERT_EQ(table->prices.size(), 12u);
  for (std::size_t stock = 0; stock < 3; ++stock)
    for (std::size_t day = 0; day < 4; ++day)
      EXPECT_EQ(table->prices[stock * 4 + day],
                100.0 + 10.0 * static_cast<double>(stock) + static_cast<double>(day));
  EXPECT_EQ(table->tickers, (std::vector<std::string>{"T0", "T1", "T2"}));
  EXPECT_EQ(table->sectors, (std::vector<std::string>{"Sector 2", "Sector 1", "Sector 0"}));
  EXPECT_EQ(table->names, (std::vector<std::string>{"Name 0", "Name 1", "Name 2"}));
}

TEST(RdaReader, RefusesAFileCutAtAnyByteAndSaysWhere) {
  const auto whole = synthetic_rda();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly that size, so that an address sanitizer sees a read past it.
    const std::vector<std::byte> cut(whole.begin(),
                                     whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto table = parse_rda(cut);
    ASSERT_FALSE(table) << "cut at " << size;
    EXPECT_EQ(table.error().code(), status_code::bad_format) << "cut at " << size;
    EXPECT_TRUE(says_where(table.error())) << table.error().message();
  }
}

TEST(RdaReader, RefusesBytesAfterTheEnd) {
  auto bytes = synthetic_rda();
  bytes.push_back(std::byte{0});
  const auto table = parse_rda(bytes);
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().detail().find("bytes after the end"), std::string_view::npos);
}

TEST(RdaReader, NeverCrashesOnAFlippedByteAndSaysWhereItRefuses) {
  const auto whole = synthetic_rda();
  unsigned refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (unsigned flip : {0x01u, 0x02u, 0x04u, 0x08u, 0x10u, 0x20u, 0x40u, 0x80u, 0xffu}) {
      auto bytes = whole;
      bytes[at] ^= static_cast<std::byte>(flip);
      const auto table = parse_rda(bytes);
      if (table) {
        // What still parses still has the shape it claims.
        EXPECT_EQ(table->prices.size(), table->days * table->stocks);
        EXPECT_EQ(table->tickers.size(), table->stocks);
        continue;
      }
      ++refused;
      EXPECT_TRUE(says_where(table.error()) ||
                  table.error().code() == status_code::length_mismatch)
          << table.error().message();
    }
  EXPECT_GT(refused, whole.size());
}

TEST(RdaReader, RefusesALengthLargerThanTheBytesLeftBeforeAllocating) {
  // Two gigabytes of doubles claimed by a file of a few bytes: with an allocation first, this test
  // would need 16 GB.
  for (const std::uint32_t type : {0x0du, 0x0eu, 0x10u, 0x13u}) {
    rda_writer out;
    out.tagged();
    out.symbol("x");
    out.word(type);
    out.word(0x7fff'ffff);
    out.nil();
    const auto table = parse_rda(out.take());
    ASSERT_FALSE(table);
    EXPECT_NE(table.error().detail().find("larger than the bytes left"), std::string_view::npos)
        << table.error().message();
  }
}

TEST(RdaReader, RefusesAStringLongerThanTheBytesLeft) {
  rda_writer out;
  out.tagged();
  out.word(1);
  out.word(9);
  out.word(0x7000'0000);
  out.word(0);
  const auto table = parse_rda(out.take());
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().detail().find("string is longer"), std::string_view::npos)
      << table.error().message();
}

TEST(RdaReader, RefusesListsNestedTooDeep) {
  rda_writer out;
  out.tagged();
  out.symbol("x");
  for (int i = 0; i < 100'000; ++i) {
    out.word(0x13);
    out.word(1);
  }
  const auto table = parse_rda(out.take());
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().detail().find("nested too deep"), std::string_view::npos);
}

TEST(RdaReader, RefusesMoreListEntriesThanItsLimit) {
  rda_writer out;
  out.tagged();
  out.symbol("x");
  out.word(0x13);
  out.word(100'000);
  for (int i = 0; i < 100'000; ++i) out.nil();
  out.nil();
  const auto table = parse_rda(out.take());
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().detail().find("too many list entries"), std::string_view::npos);
}

TEST(RdaReader, RefusesAReferenceToASymbolThatNeverCame) {
  rda_writer out;
  out.tagged();
  out.reference(1);
  out.nil();
  out.nil();
  const auto table = parse_rda(out.take());
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().detail().find("reference to no symbol"), std::string_view::npos);
}

TEST(RdaReader, RefusesNamesOfAnotherNumberOfStocks) {
  const auto table = parse_rda(synthetic_rda({.named_stocks = 5}));
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code(), status_code::length_mismatch);
  EXPECT_NE(table.error().detail().find("prices of 3 stocks, names of 5"), std::string_view::npos);
}

TEST(RdaReader, UnpacksWhatBzip2Packed) {
  const auto whole = synthetic_rda();
  const auto unpacked = unpack_bzip2(pack_bzip2(whole), xdr_size_max);
  ASSERT_TRUE(unpacked) << unpacked.error().message();
  EXPECT_EQ(*unpacked, whole);
}

TEST(RdaReader, RefusesAPackedFileCutOrFlippedAnywhere) {
  const auto whole = synthetic_rda();
  const auto packed = pack_bzip2(whole);
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const auto out = unpack_bzip2(std::span(packed).first(size), xdr_size_max);
    ASSERT_FALSE(out) << "cut at " << size;
    EXPECT_NE(out.error().detail().find("packed byte "), std::string_view::npos);
  }
  for (std::size_t at = 0; at < packed.size(); ++at)
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto bytes = packed;
      bytes[at] ^= static_cast<std::byte>(1u << bit);
      const auto out = unpack_bzip2(bytes, xdr_size_max);
      // The block size digit and the padding after the last bit carry no content.
      EXPECT_TRUE(!out || *out == whole) << "flipped bit " << bit << " of byte " << at;
    }
}

TEST(RdaReader, RefusesToUnpackMoreThanTheLimit) {
  const std::vector<std::byte> zeros(1'000'000);
  const auto packed = pack_bzip2(zeros);
  ASSERT_LT(packed.size(), 1000u);
  EXPECT_EQ(unpack_bzip2(packed, zeros.size())->size(), zeros.size());
  const auto out = unpack_bzip2(packed, zeros.size() - 1);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), status_code::too_many);
}

TEST(RdaReader, NamesAFileThatIsNotThere) {
  const auto table = read_rda("/nonexistent/stockdata.rda");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code(), status_code::io_error);
  EXPECT_NE(table.error().detail().find("/nonexistent/stockdata.rda"), std::string_view::npos);
}

TEST(RdaReader, ReadsTheRealFileWhereOneIsGiven) {
  const char* file = std::getenv("SHEAF_STOCKDATA");
  if (file == nullptr) GTEST_SKIP() << "SHEAF_STOCKDATA names no stockdata.rda";
  const auto table = read_rda(file);
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_EQ(table->days, 1258u);
  EXPECT_EQ(table->stocks, 452u);
  EXPECT_EQ(table->prices[0], 126.75);
  EXPECT_EQ(table->prices[1], 126.27);
  EXPECT_EQ(table->prices[2], 127.19);
  EXPECT_EQ(table->tickers[0], "MMM");
  EXPECT_EQ(table->tickers[1], "ACE");
  EXPECT_EQ(table->tickers[2], "ABT");
}

}  // namespace
}  // namespace risk_desk
