#include "nn/features/inception_input.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "runtime/parallel.h"
#include "runtime/pch.h"

namespace diffit::nn {
namespace {

/// Source position of one output pixel along an axis: a fraction `weight` of the way from pixel `low` to
/// `high`.
struct Place {
  std::int64_t low, high;
  float weight;
};

std::vector<Place> places(std::int64_t in, std::int64_t out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  std::vector<Place> places;
  for (std::int64_t i = 0; i < out; ++i) {
    const float at = static_cast<float>(i) * scale;
    const auto low = static_cast<std::int64_t>(std::floor(at));
    places.push_back({low, std::min(low + 1, in - 1), at - static_cast<float>(low)});
  }
  return places;
}

/// Resizes one row [W, C] of an image to the output columns: [299, 3].
void resize_row(const std::uint8_t* row, std::int64_t channels, const std::vector<Place>& columns,
                float* out) {
  for (const Place& x : columns) {
    for (std::int64_t c = 0; c < 3; ++c) {
      const std::int64_t from = channels == 3 ? c : 0;
      const float left = row[x.low * channels + from], right = row[x.high * channels + from];
      *out++ = left + (right - left) * x.weight;
    }
  }
}

/// Resizes one image. Each input row is resized only once, because the output rows are visited in order.
void resize(const std::uint8_t* image, std::int64_t width, std::int64_t channels,
            const std::vector<Place>& rows, const std::vector<Place>& columns, float* out) {
  constexpr std::int64_t kRow = kInceptionSide * 3;
  std::vector<float> upper(kRow), lower(kRow);
  std::int64_t in_upper = -1, in_lower = -1;
  for (const Place& y : rows) {
    if (y.low != in_upper) {
      if (y.low == in_lower) {
        std::swap(upper, lower);
        in_lower = -1;
      } else {
        resize_row(image + y.low * width * channels, channels, columns, upper.data());
      }
      in_upper = y.low;
    }
    if (y.high != in_lower) {
      resize_row(image + y.high * width * channels, channels, columns, lower.data());
      in_lower = y.high;
    }
    for (std::int64_t i = 0; i < kRow; ++i) {
      const float top = upper[static_cast<std::size_t>(i)], bottom = lower[static_cast<std::size_t>(i)];
      *out++ = (top + (bottom - top) * y.weight - 128.0f) / 128.0f;
    }
  }
}

}  // namespace

at::Tensor inception_input(const at::Tensor& images) {
  DIFFIT_CHECK(images.dim() == 4 && images.scalar_type() == at::kByte && images.is_cpu() &&
                   (images.size(3) == 1 || images.size(3) == 3) && images.numel() > 0,
               "Inception takes pictures [B, H, W, 1 or 3] of bytes, got [{}] of {}",
               fmt::join(images.sizes(), ", "), at::toString(images.scalar_type()));
  const at::Tensor in = images.contiguous();
  const std::int64_t batch = in.size(0), height = in.size(1), width = in.size(2), channels = in.size(3);
  const std::vector<Place> rows = places(height, kInceptionSide), columns = places(width, kInceptionSide);
  const at::Tensor out = at::empty({batch, kInceptionSide, kInceptionSide, 3}, at::kFloat);
  const std::uint8_t* from = in.const_data_ptr<std::uint8_t>();
  float* to = out.mutable_data_ptr<float>();
  runtime::parallel_for(batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      resize(from + b * height * width * channels, width, channels, rows, columns,
             to + b * kInceptionSide * kInceptionSide * 3);
    }
  });
  return out;
}

}  // namespace diffit::nn
