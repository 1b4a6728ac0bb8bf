// Effect of time on attention: how much attention, q, k and v of each layer change if only the time token is
// replaced.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/fields.h"

namespace diffit::nn {
class ImageDiffiT;
class LatentDiffiT;
}  // namespace diffit::nn

namespace diffit::analysis {

/// Change in one layer at one noise level sigma_i. The layer's input h_i results from images with noise level
/// sigma_i and is kept, while the time token is replaced by that of every other level sigma_j. Averaged over
/// j != i, images, windows, heads and queries.
struct Movement {
  double attention = 0;  // total variation, 1/2 sum over keys |A(h_i, t_j) - A(h_i, t_i)|: 0 to 1
  double q = 0;          // |q(h_i, t_j) - q(h_i, t_i)| / |q(h_i, t_i)|, over all elements of the map
  double k = 0, v = 0;
  /// Mean distance from query to key weighted by A(h_i, t_i), in pixels of the layer's map.
  double reach = 0;
};

/// Results for one layer at each noise level.
struct LayerMovement {
  std::string layer;         // "encoder.0.blocks.0", "blocks.5"
  std::int64_t window = 0;   // side of its attention window
  std::vector<Movement> at;  // one for each noise level
};

/// Results for all layers.
struct TimeMovement {
  std::vector<double> sigmas;
  std::vector<LayerMovement> layers;  // in the order of evaluation

  /// Mean change of attention over layers and levels.
  double mean_attention() const;
};

/// x [N, ...] has the format of the model's samples: images [N, C, R, R] in [-1, 1] or latents [N, C, S, S],
/// float32. labels [N] int64, or undefined. sigmas: at least two, otherwise Error(invalid); for a latent
/// model they are rounded to the noise levels of its process. The noise of sample i has seed i and differs
/// between levels only in scale. `progress`: called with the number of levels done and the total; may throw
/// to cancel.
using LevelProgress = std::function<void(std::int64_t done, std::int64_t all)>;
TimeMovement measure_time_movement(ImageDiffiT& model, const at::Tensor& x, const at::Tensor& labels,
                                   const std::vector<double>& sigmas, const LevelProgress& progress = {});
TimeMovement measure_time_movement(LatentDiffiT& model, const at::Tensor& x, const at::Tensor& labels,
                                   const std::vector<double>& sigmas, const LevelProgress& progress = {});

/// Result as a JSON object.
Json to_json(const TimeMovement& movement);

}  // namespace diffit::analysis
