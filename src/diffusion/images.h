// Conversion of samples to 8-bit images.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "io/images/image.h"

namespace diffit::diffusion {

/// Conversion of a sample x in [-1, 1] to a byte; the result is clamped to 0..255.
enum class Rounding {
  nearest,   // floor(127.5 x + 128): EDM, DiT; x = p / 127.5 - 1 maps back to p
  truncate,  // floor(127.5 (x + 1)): released code of DiffiT; half a level darker
};
/// Parses "nearest" or "truncate". Throws Error(invalid) that names `option` for any other string.
Rounding rounding_named(const std::string& name, const std::string& option);

/// samples [N, C, H, W] float32 in [-1, 1], C = 1 or 3 -> [N, H, W, C] uint8 on the same device. Throws
/// Error(failed) for other C.
at::Tensor to_pixels(const at::Tensor& samples, Rounding rounding = Rounding::nearest);
/// The same conversion to N images in CPU memory.
std::vector<Image> to_images(const at::Tensor& samples, Rounding rounding = Rounding::nearest);

}  // namespace diffit::diffusion
