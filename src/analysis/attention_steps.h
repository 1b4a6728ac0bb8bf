// Whether attention agrees with itself over time: how far it moves from one denoising step to the next.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace diffit {

class ImageDiffiT;

/// Of one layer, means over steps, pictures, windows, heads and queries.
struct LayerSteps {
  std::string layer;       // "encoder.0.blocks.0"
  double step = 0;         // total variation between neighbouring steps of a picture, 0 to 1
  double picture = 0;      // total variation between two pictures at a step
  std::vector<double> at;  // `step` for each pair of neighbouring steps
  double ratio() const { return picture > 0 ? step / picture : 0; }
};

/// Follows the sampler's path (Heun's method on Karras' grid, what `sample` takes) of pictures with seeds
/// 0 .. count - 1 and compares each layer's attention at every step with that at the step before, and with
/// that of the next picture. count >= 2, steps >= 2. labels [count] int64; undefined without classes.
std::vector<LayerSteps> attention_over_steps(ImageDiffiT& model, std::int64_t count, const at::Tensor& labels,
                                             std::int64_t steps);

}  // namespace diffit
