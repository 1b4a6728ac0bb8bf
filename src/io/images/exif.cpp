#include "io/images/exif.h"

#include <cstdint>
#include <cstring>
#include <string_view>

namespace diffit::io::detail {

int exif_orientation(std::span<const std::byte> exif) {
  const std::string_view text(reinterpret_cast<const char*>(exif.data()), exif.size());
  if (text.starts_with(std::string_view("Exif\0", 5)) && text.size() >= 6) exif = exif.subspan(6);
  if (exif.size() < 8) return 1;
  const bool little = exif[0] == std::byte{'I'} && exif[1] == std::byte{'I'};
  if (!little && !(exif[0] == std::byte{'M'} && exif[1] == std::byte{'M'})) return 1;
  const auto number = [&](std::size_t at, std::size_t count) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      value = value << 8 | std::to_integer<std::uint32_t>(exif[at + (little ? count - 1 - i : i)]);
    }
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > exif.size() || exif.size() - directory < 2) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + 12 * i;
    if (at + 12 > exif.size()) return 1;
    if (number(at, 2) != 0x0112) continue;
    constexpr std::uint32_t kShort = 3, kLong = 4;
    const std::uint32_t type = number(at + 2, 2);
    if ((type != kShort && type != kLong) || number(at + 4, 4) != 1) return 1;
    const std::uint32_t value = number(at + 8, type == kShort ? 2 : 4);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image oriented(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const std::int64_t width = image.width, height = image.height, channels = image.channels;
  const bool exchanged = exchanges_sides(orientation);
  Image out{exchanged ? height : width, exchanged ? width : height, channels, {}};
  out.pixels.resize(image.pixels.size());
  std::uint8_t* to = out.pixels.data();
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x, to += channels) {
      std::int64_t column = exchanged ? y : x, row = exchanged ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) {
        column = width - 1 - column;
      }
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {
        row = height - 1 - row;
      }
      std::memcpy(to, image.row(row) + column * channels, static_cast<std::size_t>(channels));
    }
  }
  return out;
}

}  // namespace diffit::io::detail
