#include "data/resize.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "base/test_folder.h"
#include "data/fit.h"

namespace diffit::data {
namespace {

using testing::expect_rejected;

/// Steep and flat parts, edges, nothing symmetric.
Image pattern(std::int64_t width, std::int64_t height, std::int64_t channels) {
  Image image{width, height, channels, {}};
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        image.pixels.push_back(
            static_cast<std::uint8_t>(x * x * 3 + y * 7 * (c + 1) + (x * y) % 31 * 8 + (x ^ y) * 5));
      }
    }
  }
  return image;
}

std::uint32_t checksum(const Image& image) {
  return static_cast<std::uint32_t>(crc32(0, image.pixels.data(), static_cast<uInt>(image.pixels.size())));
}

// The checksums are those of Pillow 13.0 on the same pattern: Image.resize of its bytes.
TEST(Resized, IsPillowsToTheBit) {
  struct Case {
    std::int64_t width, height, channels, to_width, to_height;
    Filter filter;
    std::uint32_t pillow;
  };
  for (const Case& c : {
           Case{37, 23, 3, 18, 11, Filter::box, 0xfa8a9142},
           Case{37, 23, 3, 16, 16, Filter::bicubic, 0x39176173},
           Case{37, 23, 1, 16, 16, Filter::lanczos, 0x96fe64d1},
           Case{64, 64, 3, 32, 32, Filter::lanczos, 0x427cb2dc},
           Case{9, 7, 3, 20, 31, Filter::bicubic, 0x9ba63668},
           Case{9, 7, 3, 20, 31, Filter::lanczos, 0x44be5de5},
           Case{1, 50, 1, 5, 3, Filter::lanczos, 0x63b4131f},
           Case{200, 3, 3, 1, 1, Filter::box, 0xc84fd9f9},
           Case{51, 50, 3, 17, 50, Filter::lanczos, 0xa0c9b411},
       }) {
    const Image image = resized(pattern(c.width, c.height, c.channels), c.to_width, c.to_height, c.filter);
    ASSERT_EQ(image.width, c.to_width);
    ASSERT_EQ(image.height, c.to_height);
    EXPECT_EQ(checksum(image), c.pillow) << c.width << "x" << c.height << " to " << c.to_width;
  }
}

// As the data set tools of EDM and ADM cut, done with Pillow 13.0 and NumPy on the same pattern.
TEST(Fitted, CropsMatchEdmDatasetTool) {
  struct Case {
    std::int64_t width, height, channels, size;
    std::uint32_t center, adm;
  };
  for (const Case& c : {
           Case{101, 67, 3, 16, 0x33178592, 0xf83c3301},
           Case{67, 101, 3, 16, 0xcc04a644, 0x0b157957},
           Case{45, 33, 1, 16, 0xde3713c0, 0x9c94def9},
           Case{30, 47, 3, 32, 0x0b61e9ae, 0x724399c4},
           Case{129, 64, 3, 32, 0xb92734c9, 0xb0f89b49},
       }) {
    const Image image = pattern(c.width, c.height, c.channels);
    EXPECT_EQ(checksum(fitted(image, c.size, Crop::center, "x")), c.center) << c.width << "x" << c.height;
    EXPECT_EQ(checksum(fitted(image, c.size, Crop::adm, "x")), c.adm) << c.width << "x" << c.height;
  }
}

TEST(Fitted, FramesWithZerosCentred) {
  const Image framed = fitted(pattern(28, 28, 1), 32, Crop::none, "x");
  ASSERT_EQ(framed.width, 32);
  ASSERT_EQ(framed.height, 32);
  for (std::int64_t y = 0; y < 32; ++y) {
    for (std::int64_t x = 0; x < 32; ++x) {
      const bool inside = x >= 2 && x < 30 && y >= 2 && y < 30;
      ASSERT_EQ(framed.row(y)[x], inside ? pattern(28, 28, 1).row(y - 2)[x - 2] : 0) << x << "," << y;
    }
  }
  EXPECT_EQ(fitted({1, 1, 1, {9}}, 2, Crop::none, "x").pixels, (std::vector<std::uint8_t>{9, 0, 0, 0}));
  EXPECT_EQ(fitted({2, 1, 3, {1, 2, 3, 4, 5, 6}}, 2, Crop::none, "x").pixels,
            (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0}));
}

TEST(Fitted, DownscalesSquaresAndRejectsOthersWithoutCrop) {
  EXPECT_EQ(checksum(fitted(pattern(64, 64, 3), 32, Crop::none, "x")), 0x427cb2dcu);
  expect_rejected([] { fitted(pattern(64, 40, 3), 32, Crop::none, "x.png"); }, {"x.png", "64x40", "`crop`"});
  expect_rejected([] { fitted(pattern(4, 4, 1), 0, Crop::none, "x"); }, {"size"});
  EXPECT_EQ(parse_crop("adm"), Crop::adm);
  expect_rejected([] { parse_crop("centre"); }, {"'centre'", "center"});
}

TEST(ResizedPart, EqualsPartOfWholeResize) {
  Image image{13, 7, 3, {}};
  for (int i = 0; i < 13 * 7 * 3; ++i) image.pixels.push_back(static_cast<std::uint8_t>(i * 37));
  for (const auto& [width, height] :
       {std::pair{40, 21}, std::pair{5, 3}, std::pair{13, 20}, std::pair{13, 7}}) {
    const Image whole = resized(image, width, height, Filter::bicubic);
    const Part part{1, 1, width - 3, height - 2};
    const Image got = resized_part(image, width, height, Filter::bicubic, part);
    ASSERT_EQ(got.width, part.width);
    ASSERT_EQ(got.height, part.height);
    for (std::int64_t y = 0; y < part.height; ++y) {
      for (std::int64_t i = 0; i < 3 * part.width; ++i) ASSERT_EQ(got.row(y)[i], whole.row(y + 1)[3 + i]);
    }
  }
}

}  // namespace
}  // namespace diffit::data
