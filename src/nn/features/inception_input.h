// Preprocessing of images in the graph of Inception-v3 (2015-12-05), up to the first convolution.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::nn {

inline constexpr std::int64_t kInceptionSide = 299;

/// Maps images [B, H, W, C] uint8 on the CPU, with C = 1 (repeated) or 3, to [B, 299, 299, 3] float32: (x -
/// 128) / 128 of the image resized like TensorFlow 1's ResizeBilinear with align_corners=false. Output pixel
/// i is at i * in / out of the input (no half-pixel centers), between floor and min(floor + 1, in - 1),
/// without antialiasing, computed in float32 in TensorFlow's order. Throws Error(invalid) for any other shape
/// or dtype.
at::Tensor inception_input(const at::Tensor& images);

}  // namespace diffit::nn
