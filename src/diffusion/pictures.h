// Samples as 8-bit pictures and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "io/picture.h"

namespace diffit {

/// samples [N, C, R, R] float32 on the CPU in [-1, 1], C 1 or 3 -> N pictures: floor(127.5 x + 128), clamped
/// to 0..255 (EDM's rounding; x = p / 127.5 - 1 comes back as p).
std::vector<Picture> to_pictures(const at::Tensor& samples);

}  // namespace diffit
