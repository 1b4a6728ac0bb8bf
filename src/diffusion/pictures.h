// Samples as 8-bit pictures and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "io/picture.h"

namespace diffit {

/// How a sample x in [-1, 1] becomes a byte; both are cut to 0..255.
enum class Rounding {
  nearest,   // floor(127.5 x + 128): EDM, DiT; x = p / 127.5 - 1 comes back as p
  truncate,  // floor(127.5 (x + 1)): DiffiT's released code; half a level darker
};
/// "nearest" or "truncate"; Error(invalid) otherwise, naming `option`.
Rounding rounding_named(const std::string& name, const std::string& option);

/// samples [N, C, H, W] float32 in [-1, 1], C 1 or 3 -> [N, H, W, C] uint8.
at::Tensor to_pixels(const at::Tensor& samples, Rounding rounding = Rounding::nearest);
/// The same on the CPU as N pictures.
std::vector<Picture> to_pictures(const at::Tensor& samples, Rounding rounding = Rounding::nearest);

}  // namespace diffit
