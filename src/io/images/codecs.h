// The decoders behind decode_image, one a format.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "io/images/image.h"

namespace diffit::io::detail {

Image decode_png(std::span<const std::byte> bytes, const std::string& where);
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& where);
Image decode_webp(std::span<const std::byte> bytes, const std::string& where);
/// The EXIF orientation of a whole WebP file, 1 where it has none.
int webp_orientation(std::span<const std::byte> bytes);

/// Rejects sides outside 1..kLargestSide, and images that no file of `packed` bytes can plausibly hold.
void check_sides(std::uint64_t width, std::uint64_t height, std::uint64_t packed, const std::string& where);
/// Rejects an image whose decoding takes more than kLargestDecoded bytes.
void check_memory(std::uint64_t width, std::uint64_t height, std::uint64_t bytes_per_pixel,
                  const std::string& where);

}  // namespace diffit::io::detail
