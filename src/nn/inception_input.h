// What the graph of Inception-v3 (2015-12-05) does to a picture before its first convolution.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace diffit {

inline constexpr std::int64_t kInceptionSide = 299;

/// pictures [B, H, W, C] uint8 on the CPU, C 1 (repeated) or 3 -> [B, 299, 299, 3] float32,
/// (x - 128) / 128 of the picture resized as TensorFlow 1 does by ResizeBilinear with align_corners=false:
/// pixel i of the result lies at i * in / out of the picture (no half-pixel centre), between floor and
/// min(floor + 1, in - 1), without antialiasing; in float32, in TensorFlow's order.
at::Tensor inception_input(const at::Tensor& pictures);

}  // namespace diffit
