// The decoders behind decode_image, one a format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/images/image.h"

namespace diffit::io::detail {

/// Limits of decoding.
struct DecodeLimits {
  std::uint64_t bytes = kLargestDecoded;
  std::int64_t least_side = 0;  // the image may be reduced while both sides stay at least this; 0: not at all
};

Image decode_png(std::span<const std::byte> bytes, const std::string& where, const DecodeLimits& limits);
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& where, const DecodeLimits& limits);
Image decode_webp(std::span<const std::byte> bytes, const std::string& where);
/// The EXIF orientation of a whole WebP file, 1 where it has none.
int webp_orientation(std::span<const std::byte> bytes);

/// Rejects sides outside 1..kLargestSide, and images that no file of `packed` bytes can plausibly hold.
void check_sides(std::uint64_t width, std::uint64_t height, std::uint64_t packed, const std::string& where);
/// Rejects an image whose decoding needs more than `limit` bytes.
void check_memory(std::uint64_t width, std::uint64_t height, std::uint64_t bytes_per_pixel,
                  const std::string& where, std::uint64_t limit = kLargestDecoded);

/// The divisor of the sides with which the image fits the limits: 1, 2, 4 or 8; also 1 if none does.
///   kept: bytes per pixel of the full image that are needed with any divisor
std::int64_t reduction_of(std::uint64_t width, std::uint64_t height, std::uint64_t bytes_per_pixel,
                          std::uint64_t kept, const DecodeLimits& limits);

/// Averages squares of `factor` by `factor` pixels, row by row; squares at the right and lower edge may be
/// smaller.
class RowReducer {
 public:
  RowReducer(std::int64_t width, std::int64_t height, std::int64_t channels, std::int64_t factor);
  /// The next row, `width` pixels of `channels` bytes.
  void add(const std::uint8_t* row);
  /// After the last row.
  Image take() { return std::move(out_); }

 private:
  void finish_row();

  const std::int64_t width_, height_, factor_;
  std::int64_t rows_ = 0, added_ = 0;  // rows in the sums, and in all
  std::vector<std::uint32_t> sums_;
  Image out_;
};

}  // namespace diffit::io::detail
