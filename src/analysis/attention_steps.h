// Change of attention from one denoising step to the next, compared with its variation between images.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/layers.h"

namespace diffit::nn {
class ImageDiffiT;
}

namespace diffit::analysis {

/// Results for one layer, averaged over steps, images, windows, heads and queries.
struct LayerSteps {
  std::string layer;       // "encoder.0.blocks.0"
  double step = 0;         // total variation between consecutive steps of an image, 0 to 1
  double image = 0;        // total variation between two images at the same step
  std::vector<double> at;  // `step` for each pair of consecutive steps
  /// Change between steps relative to the variation between images.
  double ratio() const { return image > 0 ? step / image : 0; }
};

/// Samples images with seeds 0 .. count - 1 as `sample` does (Heun's method on Karras' grid) and compares
/// each layer's attention at every step with that at the previous step and with that of the next image.
/// labels [count] int64; undefined without classes. Throws Error(invalid) unless count >= 2 and steps >= 2.
/// Replaces the model's attention observer and removes it afterwards.
std::vector<LayerSteps> attention_over_steps(ImageDiffiT& model, std::int64_t count, const at::Tensor& labels,
                                             std::int64_t steps);

}  // namespace diffit::analysis
