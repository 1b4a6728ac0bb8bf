#include "jobs/given_image.h"

#include <algorithm>

#include "base/error.h"
#include "data/resize.h"

namespace diffit::jobs {

using data::Filter;
using data::resized;

namespace {

/// The centred square at that size.
Image square(const Image& image, std::int64_t side, const std::string& field) {
  const std::int64_t shorter = std::min(image.width, image.height);
  DIFFIT_CHECK(shorter > 0 && static_cast<std::int64_t>(image.pixels.size()) ==
                                  image.width * image.height * image.channels,
               "{}: wanted pixels for {} x {} x {} numbers, got {}", field, image.height, image.width,
               image.channels, image.pixels.size());
  Image out{shorter, shorter, image.channels, {}};
  const std::int64_t top = (image.height - shorter) / 2, left = (image.width - shorter) / 2;
  for (std::int64_t y = 0; y < shorter; ++y) {
    const std::uint8_t* row = image.row(top + y) + left * image.channels;
    out.pixels.insert(out.pixels.end(), row, row + shorter * image.channels);
  }
  return shorter == side ? out : resized(out, side, side, Filter::lanczos);
}

/// [1, channels, H, W] float32 in [-1, 1]; RGB becomes grey by the weights of Rec. 601, grey is repeated.
at::Tensor as_tensor(const Image& image, std::int64_t channels, const std::string& field) {
  at::Tensor bytes = at::empty({image.height, image.width, image.channels}, at::kByte);
  std::copy(image.pixels.begin(), image.pixels.end(), bytes.mutable_data_ptr<std::uint8_t>());
  at::Tensor x = (bytes.to(at::kFloat) / 127.5 - 1).permute({2, 0, 1}).unsqueeze(0);
  if (image.channels == 3 && channels == 1) {
    x = (x * at::tensor({0.299F, 0.587F, 0.114F}).reshape({1, 3, 1, 1})).sum(1, /*keepdim=*/true);
  } else if (image.channels == 1 && channels > 1) {
    x = x.expand({1, channels, image.height, image.width});
  }
  DIFFIT_CHECK(x.size(1) == channels, "{}: wanted {} channels, got {}", field, channels, image.channels);
  return x.contiguous();
}

}  // namespace

at::Tensor given_image(const Image& image, std::int64_t side, std::int64_t channels,
                       const std::string& field) {
  return as_tensor(square(image, side, field), channels, field);
}

}  // namespace diffit::jobs
