/// \file
/// Reads `stockdata.rda` of the R package `huge` without R: a bzip2 stream that holds an RDX2 file
/// in XDR form, which is one named list of a price matrix and a matrix of names.
///
/// Invariants
///  1. A length read from the input is compared with the bytes that are left before anything is
///     allocated for it, and list entries are counted, so that damaged input costs at most a small
///     multiple of `xdr_size_max`.
///  2. Every refusal says where: the byte of the unpacked stream, or the entry of the matrix.
///
/// Thread safety: free functions over their arguments. Cost: one pass over the input.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <sheaf/base/result.hpp>

namespace risk_desk {

/// Most bytes a compressed file may have, and most bytes it may unpack to. The real file has 0.7
/// and 4.6 MB.
inline constexpr std::size_t file_size_max = std::size_t{16} << 20;
inline constexpr std::size_t xdr_size_max = std::size_t{16} << 20;

/// The two matrices of the file.
struct stock_table {
  std::size_t days = 0;
  std::size_t stocks = 0;
  std::vector<double> prices;  ///< `days` x `stocks`, column-major: all days of a stock together
  std::vector<std::string> tickers;
  std::vector<std::string> sectors;
  std::vector<std::string> names;
};

/// Unpacks one bzip2 stream. `bad_format` names the compressed byte where it broke off; `too_many`
/// says that the result would exceed `size_max`.
[[nodiscard]] sheaf::result<std::vector<std::byte>> unpack_bzip2(
    std::span<const std::byte> packed, std::size_t size_max);

/// Parses an unpacked RDX2/XDR file. `bad_format` names the byte, or the shape that does not fit.
[[nodiscard]] sheaf::result<stock_table> parse_rda(std::span<const std::byte> xdr);

/// Reads, unpacks and parses a file. `io_error` carries the words of the operating system.
[[nodiscard]] sheaf::result<stock_table> read_rda(const std::filesystem::path& file);

}  // namespace risk_desk
