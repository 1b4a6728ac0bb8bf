// WebP through libwebp.
#include <webp/decode.h>

#include <string_view>

#include "base/error.h"
#include "io/images/codecs.h"
#include "io/images/exif.h"

namespace diffit::io::detail {

int webp_orientation(std::span<const std::byte> bytes) {
  for (std::size_t at = 12; at + 8 <= bytes.size();) {
    std::size_t size = 0;
    for (std::size_t i = 4; i-- > 0;) size = size << 8 | std::to_integer<std::size_t>(bytes[at + 4 + i]);
    const std::string_view type(reinterpret_cast<const char*>(&bytes[at]), 4);
    if (size > bytes.size() - at - 8) break;
    if (type == "EXIF") return exif_orientation(bytes.subspan(at + 8, size));
    at += 8 + size + size % 2;
  }
  return 1;
}

Image decode_webp(std::span<const std::byte> bytes, const std::string& where) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features{};
  const VP8StatusCode code = WebPGetFeatures(data, bytes.size(), &features);
  DIFFIT_CHECK(code == VP8_STATUS_OK, "{}: wanted a well-formed WebP, got a bad header (libwebp status {})",
               where, static_cast<int>(code));
  DIFFIT_CHECK(!features.has_animation, "{}: wanted one image, got an animated WebP", where);
  check_sides(static_cast<std::uint64_t>(features.width), static_cast<std::uint64_t>(features.height),
              bytes.size(), where);
  const std::size_t pixels =
      static_cast<std::size_t>(features.width) * static_cast<std::size_t>(features.height);
  const std::size_t samples = features.has_alpha ? 4 : 3;
  check_memory(static_cast<std::uint64_t>(features.width), static_cast<std::uint64_t>(features.height),
               samples, where);
  Image image{features.width, features.height, 3, {}};
  image.pixels.resize(pixels * samples);
  const int stride = features.width * static_cast<int>(samples);
  const auto* done =
      features.has_alpha
          ? WebPDecodeRGBAInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), stride)
          : WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), stride);
  DIFFIT_CHECK(done != nullptr, "{}: wanted a well-formed WebP, got damaged or truncated data", where);
  if (features.has_alpha) {
    for (std::size_t i = 0; i < pixels; ++i) {
      const unsigned alpha = image.pixels[4 * i + 3];
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned mixed = image.pixels[4 * i + c] * alpha + 255 * (255 - alpha);
        image.pixels[3 * i + c] = static_cast<std::uint8_t>((2 * mixed + 255) / 510);
      }
    }
    image.pixels.resize(3 * pixels);
  }
  return oriented(std::move(image), webp_orientation(bytes));
}

}  // namespace diffit::io::detail
