#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace diffit::data {
namespace {

// Low-pass filter of Daubechies' least asymmetric wavelet with six vanishing moments (Daubechies 1992,
// table 6.3), of unit energy: its even shifts are orthonormal, so that 2x up and 2x down with it is the
// identity.
constexpr std::array<double, 12> kSymlet6 = {
    0.015404109327027373,  0.0034907120842174702, -0.11799011114819057,  -0.048311742585633,
    0.4910559419267466,    0.787641141030194,     0.3379294217276218,    -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578,   0.0017677118642428036, -0.007800708325034148};

constexpr double kScaleBase = 0.2, kAnisoBase = 0.2;  // powers of two a standard deviation
constexpr double kShift = 1.0 / 8;                    // of the image a standard deviation

struct Matrix {
  double a = 1, b = 0, c = 0, d = 1;
  Matrix operator*(const Matrix& o) const {
    return {a * o.a + b * o.c, a * o.b + b * o.d, c * o.a + d * o.c, c * o.b + d * o.d};
  }
};

/// Where the filter holds its weight: pixel j lies at 2j + center of the doubled grid.
double filter_center() {
  double moment = 0;
  for (std::size_t t = 0; t < kSymlet6.size(); ++t) moment += static_cast<double>(t) * kSymlet6[t];
  return moment / std::numbers::sqrt2;
}

Matrix rotation(double angle) {
  return {std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle)};
}
Matrix stretch(double x, double y) {
  return {x, 0, 0, y};
}

/// Samples of the doubled grid that the output's pixels reach.
std::int64_t sampled_side(std::int64_t resolution) {
  return 2 * (resolution - 1) + static_cast<std::int64_t>(kSymlet6.size());
}

}  // namespace

void flip_horizontally(std::span<float> image, std::int64_t resolution, std::int64_t channels) {
  for (std::int64_t y = 0; y < resolution; ++y) {
    float* left = image.data() + y * resolution * channels;
    float* right = left + (resolution - 1) * channels;
    for (; left < right; left += channels, right -= channels) std::swap_ranges(left, left + channels, right);
  }
}

void flip_vertically(std::span<float> image, std::int64_t resolution, std::int64_t channels) {
  const std::int64_t width = resolution * channels;
  for (std::int64_t y = 0; y < resolution / 2; ++y) {
    float* row = image.data() + y * width;
    std::swap_ranges(row, row + width, image.data() + (resolution - 1 - y) * width);
  }
}

std::array<float, kAugmentLabel> Geometry::label() const {
  const auto f = [](double value) { return static_cast<float>(value); };
  return {flip_x ? 1.0f : 0.0f,
          flip_y ? 1.0f : 0.0f,
          f(scale),
          f(std::cos(rotation) - 1),
          f(std::sin(rotation)),
          f(aniso * std::cos(aniso_angle)),
          f(aniso * std::sin(aniso_angle)),
          f(shift_x),
          f(shift_y)};
}

bool Geometry::warps() const {
  return scale != 0 || rotation != 0 || aniso != 0 || shift_x != 0 || shift_y != 0;
}

Geometry draw_geometry(Random& random, double probability) {
  constexpr double pi = std::numbers::pi;
  Geometry g;
  g.flip_x = random.uniform() < 0.5;
  const auto on = [&] { return random.uniform() < probability; };
  if (on()) g.flip_y = random.uniform() < 0.5;
  if (on()) g.scale = random.normal();
  if (on()) g.rotation = (2 * random.uniform() - 1) * pi;
  if (on()) {
    g.aniso_angle = (2 * random.uniform() - 1) * pi;
    g.aniso = random.normal();
  }
  if (on()) {
    g.shift_x = random.normal();
    g.shift_y = random.normal();
  }
  return g;
}

Warp::Warp(std::int64_t resolution, std::int64_t channels)
    : resolution_(resolution),
      channels_(channels),
      period_(std::max<std::int64_t>(2 * (resolution - 1), 1)) {}

void Warp::apply(const Geometry& geometry, std::span<float> image) {
  if (geometry.flip_x) flip_horizontally(image, resolution_, channels_);
  if (geometry.flip_y) flip_vertically(image, resolution_, channels_);
  if (!geometry.warps()) return;
  upsample(image);
  sample(geometry);
  downsample(image);
}

// One period of the endlessly reflected image at twice its resolution: sample 2i + t of a row is
// sum over k of sqrt(2) h[t + 2k] x[i - k], where sqrt(2) keeps a constant image constant.
void Warp::upsample(std::span<const float> image) {
  const std::int64_t n = resolution_, c = channels_, p = period_, q = 2 * p;
  const auto reflected = [n, p](std::int64_t i) {
    i = ((i % p) + p) % p;
    return i < n ? i : p - i;
  };
  // Columns first, of the rows that there are; then rows, which repeat.
  rows_.assign(static_cast<std::size_t>(q * n * c), 0);
  for (std::int64_t y = 0; y < q; ++y) {
    float* to = rows_.data() + y * n * c;
    for (std::int64_t k = 0; k < 6; ++k) {
      const auto w =
          static_cast<float>(std::numbers::sqrt2 * kSymlet6[static_cast<std::size_t>(y % 2 + 2 * k)]);
      const float* from = image.data() + reflected(y / 2 - k) * n * c;
      for (std::int64_t x = 0; x < n * c; ++x) to[x] += w * from[x];
    }
  }
  doubled_.assign(static_cast<std::size_t>(q * q * c), 0);
  for (std::int64_t y = 0; y < q; ++y) {
    for (std::int64_t x = 0; x < q; ++x) {
      float* to = doubled_.data() + (y * q + x) * c;
      for (std::int64_t k = 0; k < 6; ++k) {
        const auto w =
            static_cast<float>(std::numbers::sqrt2 * kSymlet6[static_cast<std::size_t>(x % 2 + 2 * k)]);
        const float* from = rows_.data() + (y * n + reflected(x / 2 - k)) * c;
        for (std::int64_t i = 0; i < c; ++i) to[i] += w * from[i];
      }
    }
  }
}

// Each point of the output's doubled grid, taken bilinearly where the inverse transform says it came from.
void Warp::sample(const Geometry& g) {
  const double grow = std::exp2(kScaleBase * g.scale), pull = std::exp2(kAnisoBase * g.aniso);
  // The inverse of: scale, then rotate, then stretch along aniso_angle, then shift.
  const Matrix inverse = stretch(1 / grow, 1 / grow) * rotation(-g.rotation) * rotation(g.aniso_angle) *
                         stretch(1 / pull, pull) * rotation(-g.aniso_angle);
  const double n = static_cast<double>(resolution_), tau = filter_center();
  const double middle = n - 1 + tau;  // of the image, on the doubled grid
  const std::int64_t side = sampled_side(resolution_), q = 2 * period_, c = channels_;
  const auto wrapped = [q](std::int64_t i) { return ((i % q) + q) % q; };
  sampled_.resize(static_cast<std::size_t>(side * side * c));
  for (std::int64_t y = 0; y < side; ++y) {
    const double dy = static_cast<double>(y) - middle - 2 * n * kShift * g.shift_y;
    for (std::int64_t x = 0; x < side; ++x) {
      const double dx = static_cast<double>(x) - middle - 2 * n * kShift * g.shift_x;
      const double u = middle + inverse.a * dx + inverse.b * dy, v = middle + inverse.c * dx + inverse.d * dy;
      const double left = std::floor(u), top = std::floor(v);
      const auto fx = static_cast<float>(u - left), fy = static_cast<float>(v - top);
      const std::int64_t x0 = wrapped(static_cast<std::int64_t>(left)), x1 = x0 + 1 == q ? 0 : x0 + 1;
      const std::int64_t y0 = wrapped(static_cast<std::int64_t>(top)), y1 = y0 + 1 == q ? 0 : y0 + 1;
      const float *p00 = doubled_.data() + (y0 * q + x0) * c, *p01 = doubled_.data() + (y0 * q + x1) * c;
      const float *p10 = doubled_.data() + (y1 * q + x0) * c, *p11 = doubled_.data() + (y1 * q + x1) * c;
      float* to = sampled_.data() + (y * side + x) * c;
      for (std::int64_t i = 0; i < c; ++i) {
        const float upper = p00[i] + fx * (p01[i] - p00[i]), lower = p10[i] + fx * (p11[i] - p10[i]);
        to[i] = upper + fy * (lower - upper);
      }
    }
  }
}

// Pixel i is sum over t of h[t] / sqrt(2) of sample 2i + t: the transpose of upsample.
void Warp::downsample(std::span<float> image) {
  const std::int64_t n = resolution_, c = channels_, side = sampled_side(resolution_);
  columns_.assign(static_cast<std::size_t>(n * side * c), 0);
  std::array<float, kSymlet6.size()> weights;
  for (std::size_t t = 0; t < weights.size(); ++t) {
    weights[t] = static_cast<float>(kSymlet6[t] / std::numbers::sqrt2);
  }
  for (std::int64_t y = 0; y < n; ++y) {
    float* to = columns_.data() + y * side * c;
    for (std::int64_t t = 0; t < static_cast<std::int64_t>(weights.size()); ++t) {
      const float* from = sampled_.data() + (2 * y + t) * side * c;
      for (std::int64_t x = 0; x < side * c; ++x) to[x] += weights[static_cast<std::size_t>(t)] * from[x];
    }
  }
  for (std::int64_t y = 0; y < n; ++y) {
    for (std::int64_t x = 0; x < n; ++x) {
      for (std::int64_t i = 0; i < c; ++i) {
        const float* from = columns_.data() + (y * side + 2 * x) * c + i;
        float sum = 0;
        for (std::int64_t t = 0; t < static_cast<std::int64_t>(weights.size()); ++t) {
          sum += weights[static_cast<std::size_t>(t)] * from[t * c];
        }
        image[static_cast<std::size_t>((y * n + x) * c + i)] = sum;
      }
    }
  }
}

}  // namespace diffit::data
