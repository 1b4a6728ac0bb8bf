// Images in memory and as PNG, JPEG and WebP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "diffit/image.h"

namespace diffit::io {

/// The largest side that is decoded.
inline constexpr std::int64_t kLargestSide = 32768;
/// The most memory that decoding one image may take, its pixels included.
inline constexpr std::uint64_t kLargestDecoded = 512ull << 20;

/// Decodes PNG, JPEG or WebP, told apart by content. Grey stays grey; palettes become RGB (or grey where
/// every entry is grey); alpha is composited over white; 16-bit is reduced to 8 by rounding; CMYK JPEGs
/// become RGB. An EXIF orientation is applied, as every viewer does. `where` names the file in errors;
/// anything malformed, truncated, animated, or larger than kLargestSide or kLargestDecoded is Error(invalid),
/// before memory is taken. What leaves every pixel as it was written is accepted: bytes after the end,
/// damaged ancillary chunks of a PNG, a JPEG without its last marker.
Image decode_image(std::span<const std::byte> bytes, const std::string& where);
/// Like decode_image, if sides of `side` suffice: a PNG or JPEG that needs more than `most_bytes` to decode
/// is reduced to 1/2, 1/4 or 1/8 of its sides (rounded up), the first that fits, while both sides stay at
/// least `side`. PNGs are averaged row by row, JPEGs are scaled by libjpeg. Interlaced PNGs, progressive
/// JPEGs and WebP are decoded at full size or rejected.
Image decode_reduced(std::span<const std::byte> bytes, std::int64_t side, const std::string& where,
                     std::uint64_t most_bytes = kLargestDecoded);
Image read_image(const fs::path& path);

/// Whether a file of that name is taken for an image: .png .jpg .jpeg .jpe .jfif .webp, in any case.
bool is_image_name(const std::string& name);

/// Text chunks of a PNG (tEXt for Latin-1, iTXt otherwise).
using PngText = std::map<std::string, std::string>;

/// `level` is zlib's: 0 stores (what the EDM zip holds), 6 is usual.
std::vector<std::byte> encode_png(const Image& image, int level, const PngText& text = {});
void write_png(const fs::path& path, const Image& image, const PngText& text = {});
PngText read_png_text(const fs::path& path);

/// Images of equal size side by side, row by row, `columns` a row (0: as square as can be), `gap` pixels
/// apart on `background`; grey and RGB may be mixed (then RGB).
Image grid(std::span<const Image> images, std::int64_t columns, std::int64_t gap = 2,
           std::uint8_t background = 255);
/// Each pixel repeated `factor` times in both directions.
Image enlarged(const Image& image, std::int64_t factor);

}  // namespace diffit::io
