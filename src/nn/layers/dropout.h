// Dropout (Srivastava et al. 2014) with masks that depend only on seed, image and place in the network.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::nn {

/// Parameters of one dropout layer for the training images first_image .. first_image + B - 1.
struct Dropout {
  double rate = 0;  // probability of a zero; 0 outside training
  std::uint64_t seed = 0;
  std::int64_t first_image = 0;
  std::int64_t place = 0;  // index of the layer in the network, 0..4095
};

/// Sets each element of x [B, ...] to zero with probability `rate` and divides the others by 1 - rate. The
/// rate is rounded to a multiple of 1 / 65536. The mask of an image does not depend on the batch or the
/// device, and recomputing it gives the same mask. Returns x itself if the rate is 0.
at::Tensor apply_dropout(const at::Tensor& x, const Dropout& dropout);

}  // namespace diffit::nn
