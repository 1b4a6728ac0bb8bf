#include "data/augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace diffit::data {
namespace {

/// A smooth image that is not symmetric in any way.
std::vector<float> smooth(std::int64_t n, std::int64_t channels) {
  std::vector<float> image;
  for (std::int64_t y = 0; y < n; ++y) {
    for (std::int64_t x = 0; x < n; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double u = static_cast<double>(x) / static_cast<double>(n),
                     v = static_cast<double>(y) / static_cast<double>(n);
        image.push_back(static_cast<float>(std::sin(5 * u + static_cast<double>(c)) * std::cos(4 * v * v)));
      }
    }
  }
  return image;
}

float at(const std::vector<float>& image, std::int64_t n, std::int64_t channels, std::int64_t y,
         std::int64_t x, std::int64_t c) {
  return image[static_cast<std::size_t>((y * n + x) * channels + c)];
}

/// The largest difference in the middle of the images, where borders are not seen.
double middle_difference(const std::vector<float>& a, const std::vector<float>& b, std::int64_t n,
                         std::int64_t channels, std::int64_t border) {
  double worst = 0;
  for (std::int64_t y = border; y < n - border; ++y) {
    for (std::int64_t x = border; x < n - border; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        worst = std::max<double>(worst, std::abs(at(a, n, channels, y, x, c) - at(b, n, channels, y, x, c)));
      }
    }
  }
  return worst;
}

TEST(Geometry, LabelsOfUnchangedImageAreZero) {
  EXPECT_FALSE(Geometry{}.warps());
  for (const float value : Geometry{}.label()) EXPECT_EQ(value, 0);
}

TEST(Geometry, LabelsAreInRangeAndFrequenciesAsConfigured) {
  constexpr int kCount = 20000;
  constexpr double kProbability = 0.12;
  int flips = 0, upside_down = 0, scaled = 0, rotated = 0, stretched = 0, shifted = 0;
  for (int i = 0; i < kCount; ++i) {
    Random random(1, stream_of(Purpose::augmentation, static_cast<std::uint64_t>(i)));
    const Geometry g = draw_geometry(random, kProbability);
    const auto label = g.label();
    EXPECT_TRUE(label[0] == 0 || label[0] == 1);
    EXPECT_TRUE(label[1] == 0 || label[1] == 1);
    EXPECT_NEAR((label[3] + 1) * (label[3] + 1) + label[4] * label[4], 1, 1e-6);
    EXPECT_NEAR(std::hypot(label[5], label[6]), std::abs(g.aniso), 1e-6);
    flips += g.flip_x;
    upside_down += g.flip_y;
    scaled += g.scale != 0;
    rotated += g.rotation != 0;
    stretched += g.aniso != 0;
    shifted += g.shift_x != 0 && g.shift_y != 0;
  }
  // Five standard deviations of a binomial count.
  const auto near = [&](int count, double p) {
    EXPECT_NEAR(count, kCount * p, 5 * std::sqrt(kCount * p * (1 - p)));
  };
  near(flips, 0.5);
  near(upside_down, kProbability / 2);
  near(scaled, kProbability);
  near(rotated, kProbability);
  near(stretched, kProbability);
  near(shifted, kProbability);
}

TEST(Flip, IsItsOwnInverseAndMirrors) {
  for (const std::int64_t n : {1, 2, 5, 8}) {
    const std::vector<float> original = smooth(n, 3);
    std::vector<float> across = original, down = original;
    flip_horizontally(across, n, 3);
    flip_vertically(down, n, 3);
    for (std::int64_t y = 0; y < n; ++y) {
      for (std::int64_t x = 0; x < n; ++x) {
        EXPECT_EQ(at(across, n, 3, y, x, 1), at(original, n, 3, y, n - 1 - x, 1));
        EXPECT_EQ(at(down, n, 3, y, x, 1), at(original, n, 3, n - 1 - y, x, 1));
      }
    }
    flip_horizontally(across, n, 3);
    flip_vertically(down, n, 3);
    EXPECT_EQ(across, original);
    EXPECT_EQ(down, original);
  }
}

TEST(Warp, NearIdentityReturnsTheImage) {
  // The two filters are orthonormal to rounding: an unmoved grid is the identity, for any image.
  for (const std::int64_t n : {1, 2, 3, 16, 33}) {
    std::vector<float> noise(static_cast<std::size_t>(n * n * 3));
    Random(5, stream_of(Purpose::test)).normal(noise);
    std::vector<float> warped = noise;
    Geometry g;
    g.rotation = 2 * std::numbers::pi;
    Warp(n, 3).apply(g, warped);
    // 12 taps four times over, of values up to 4: a few hundred roundings of 2^-24 each.
    EXPECT_LT(middle_difference(noise, warped, n, 3, 0), 1e-4) << n;
  }
}

TEST(Warp, ConstantImagesStayConstant) {
  for (int i = 0; i < 20; ++i) {
    Random random(2, stream_of(Purpose::augmentation, static_cast<std::uint64_t>(i)));
    std::vector<float> image(16 * 16, 0.75f);
    Warp(16, 1).apply(draw_geometry(random, 1), image);
    for (const float value : image) ASSERT_NEAR(value, 0.75, 1e-5);
  }
}

TEST(Warp, ShiftsByWholePixelsExactly) {
  constexpr std::int64_t n = 32;
  const std::vector<float> original = smooth(n, 2);
  std::vector<float> warped = original;
  Geometry g;
  g.shift_x = 1;      // an eighth of 32: 4 pixels to the right
  g.shift_y = -0.75;  // 3 pixels up
  Warp(n, 2).apply(g, warped);
  for (std::int64_t y = 0; y < n - 3; ++y) {
    for (std::int64_t x = 4; x < n; ++x) {
      ASSERT_NEAR(at(warped, n, 2, y, x, 1), at(original, n, 2, y + 3, x - 4, 1), 1e-5) << y << " " << x;
    }
  }
  EXPECT_NEAR(at(warped, n, 2, 10, 3, 0), at(original, n, 2, 13, 1, 0), 1e-5) << "borders are reflected";
}

TEST(Warp, QuarterTurnsPermutePixels) {
  constexpr std::int64_t n = 24;
  const std::vector<float> original = smooth(n, 1);
  std::vector<float> warped = original;
  Geometry g;
  g.rotation = std::numbers::pi / 2;
  Warp(n, 1).apply(g, warped);
  // The filter is nearly, not wholly, symmetric: a smooth image is kept to the bilinear step's error, d2/8
  // of a half pixel with d2 about 25/24^2.
  double worst = 0;
  for (std::int64_t y = 6; y < n - 6; ++y) {
    for (std::int64_t x = 6; x < n - 6; ++x) {
      worst =
          std::max<double>(worst, std::abs(at(warped, n, 1, y, x, 0) - at(original, n, 1, n - 1 - x, y, 0)));
    }
  }
  EXPECT_LT(worst, 0.01);
}

TEST(Warp, StretchIsUndoneByInverse) {
  constexpr std::int64_t n = 48;
  const std::vector<float> original = smooth(n, 3);
  Warp warp(n, 3);
  Geometry g, back;
  g.aniso_angle = back.aniso_angle = 0.7;
  g.aniso = 1.0;
  back.aniso = -1.0;
  std::vector<float> warped = original;
  warp.apply(g, warped);
  EXPECT_GT(middle_difference(original, warped, n, 3, 12), 0.05) << "the stretch did something";
  warp.apply(back, warped);
  EXPECT_LT(middle_difference(original, warped, n, 3, 12), 0.01);

  g = back = Geometry{};
  g.scale = 1.5;
  back.scale = -1.5;
  warp.apply(g, warped = original);
  EXPECT_NEAR(at(warped, n, 3, 24, 24 + 12, 0),
              at(original, n, 3, 24, 24 + static_cast<std::int64_t>(12 / std::exp2(0.3)), 0), 0.08);
  EXPECT_GT(middle_difference(original, warped, n, 3, 12), 0.05);
  warp.apply(back, warped);
  EXPECT_LT(middle_difference(original, warped, n, 3, 12), 0.01);
}

}  // namespace
}  // namespace diffit::data
