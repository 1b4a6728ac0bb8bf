// An image in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diffit {

/// Pixels in rows from the top, channels interleaved.
struct Image {
  std::int64_t width = 0, height = 0;
  std::int64_t channels = 0;         // 1 (grey) or 3 (RGB)
  std::vector<std::uint8_t> pixels;  // [height, width, channels]

  std::uint8_t* row(std::int64_t y) { return pixels.data() + y * width * channels; }
  const std::uint8_t* row(std::int64_t y) const { return pixels.data() + y * width * channels; }
};

}  // namespace diffit
