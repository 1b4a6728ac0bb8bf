// Dropout (Srivastava et al. 2014) whose masks are functions of seed, image and place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace diffit {

/// Of one place in a network, for training images first_image .. first_image + B - 1.
struct Dropout {
  double rate = 0;  // probability of a zero; 0 where nothing is trained
  std::uint64_t seed = 0;
  std::int64_t first_image = 0;
  std::int64_t place = 0;  // 0..4095
};

/// x [B, ...] on any device, each number zero with probability `rate` and divided by 1 - rate otherwise; the
/// rate is rounded to 1 / 65536. An image's mask is the same whatever batch it is in, on every device, and
/// when it is asked for again. x itself where the rate is 0.
at::Tensor dropped(const at::Tensor& x, const Dropout& dropout);

}  // namespace diffit
