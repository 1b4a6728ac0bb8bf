#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/error.h"

namespace diffit::data {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;

double sinc(double x) {
  return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

double support_of(Filter filter) {
  return filter == Filter::box ? 0.5 : filter == Filter::bicubic ? 2 : 3;
}

double weight(Filter filter, double x) {
  switch (filter) {
    case Filter::box:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::bicubic: {  // Keys 1981 with a = -0.5
      constexpr double a = -0.5;
      x = std::abs(x);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    }
    case Filter::lanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  return 0;
}

/// For each output position: where its inputs begin and their weights in fixed point.
struct Taps {
  std::vector<std::int64_t> first, count;
  std::vector<std::int32_t> weights;  // [output, widest]
  std::int64_t widest = 0;
};

/// Of outputs begin .. begin + count - 1 of `to`.
Taps taps_for(std::int64_t from, std::int64_t to, std::int64_t begin, std::int64_t outputs, Filter filter) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  const double support = support_of(filter) * stretch;
  Taps taps;
  taps.widest = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  taps.weights.assign(static_cast<std::size_t>(outputs * taps.widest), 0);
  std::vector<double> row(static_cast<std::size_t>(taps.widest));
  for (std::int64_t i = 0; i < outputs; ++i) {
    const double center = (static_cast<double>(begin + i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const auto last = std::min<std::int64_t>(static_cast<std::int64_t>(center + support + 0.5), from);
    double sum = 0;
    for (std::int64_t k = first; k < last; ++k) {
      const double w = weight(filter, (static_cast<double>(k) - center + 0.5) * (1 / stretch));
      row[static_cast<std::size_t>(k - first)] = w;
      sum += w;
    }
    for (std::int64_t k = 0; k < last - first; ++k) {
      double w = row[static_cast<std::size_t>(k)];
      if (sum != 0) w /= sum;
      w *= 1 << kPrecisionBits;
      taps.weights[static_cast<std::size_t>(i * taps.widest + k)] =
          static_cast<std::int32_t>(w < 0 ? w - 0.5 : w + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(last - first);
  }
  return taps;
}

std::uint8_t clipped(std::int64_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kPrecisionBits, 0, 255));
}

/// Along the second of three axes: [outer, from, inner] -> [outer, count, inner], outputs begin .. of `to`.
std::vector<std::uint8_t> along(const std::vector<std::uint8_t>& in, std::int64_t outer, std::int64_t from,
                                std::int64_t inner, std::int64_t to, std::int64_t begin, std::int64_t count,
                                Filter filter) {
  const Taps taps = taps_for(from, to, begin, count, filter);
  std::vector<std::uint8_t> out(static_cast<std::size_t>(outer * count * inner));
  std::vector<std::int64_t> sums(static_cast<std::size_t>(inner));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < count; ++i) {
      std::fill(sums.begin(), sums.end(), std::int64_t{1} << (kPrecisionBits - 1));
      for (std::int64_t k = 0; k < taps.count[static_cast<std::size_t>(i)]; ++k) {
        const std::int64_t w = taps.weights[static_cast<std::size_t>(i * taps.widest + k)];
        const std::uint8_t* source =
            in.data() + (o * from + taps.first[static_cast<std::size_t>(i)] + k) * inner;
        for (std::int64_t x = 0; x < inner; ++x) sums[static_cast<std::size_t>(x)] += w * source[x];
      }
      std::uint8_t* target = out.data() + (o * count + i) * inner;
      for (std::int64_t x = 0; x < inner; ++x) target[x] = clipped(sums[static_cast<std::size_t>(x)]);
    }
  }
  return out;
}

/// Copies the part of the image.
Image cut(const Image& image, const Part& part) {
  if (part.left == 0 && part.top == 0 && part.width == image.width && part.height == image.height)
    return image;
  Image out{part.width, part.height, image.channels, {}};
  out.pixels.resize(static_cast<std::size_t>(part.width * part.height * image.channels));
  for (std::int64_t y = 0; y < part.height; ++y) {
    std::memcpy(out.row(y), image.row(part.top + y) + part.left * image.channels,
                static_cast<std::size_t>(part.width * image.channels));
  }
  return out;
}

}  // namespace

Image resized(const Image& image, std::int64_t width, std::int64_t height, Filter filter) {
  DIFFIT_CHECK(width >= 1 && height >= 1 && width <= kLargestSide && height <= kLargestSide,
               "wanted to resize to sides of 1 to {}, got {}x{}", kLargestSide, width, height);
  return resized_part(image, width, height, filter, {0, 0, width, height});
}

Image resized_part(const Image& image, std::int64_t width, std::int64_t height, Filter filter, Part part) {
  const auto fits = [](std::int64_t first, std::int64_t count, std::int64_t all) {
    return first >= 0 && count >= 1 && count <= kLargestSide && all < (std::int64_t{1} << 40) &&
           first + count <= all;
  };
  DIFFIT_CHECK(fits(part.left, part.width, width) && fits(part.top, part.height, height),
               "wanted a part of a resized image of {}x{}, got {}x{} from {}, {}", width, height, part.width,
               part.height, part.left, part.top);
  Image out = image;
  if (width != out.width) {
    out.pixels = along(out.pixels, out.height, out.width, out.channels, width, part.left, part.width, filter);
    out.width = part.width;
    part.left = 0;
  }
  if (height != out.height) {
    out.pixels =
        along(out.pixels, 1, out.height, out.width * out.channels, height, part.top, part.height, filter);
    out.height = part.height;
    part.top = 0;
  }
  return cut(out, part);
}

}  // namespace diffit::data
