// What time-dependent attention does with time: how far attention, q, k and v of each layer move when the
// time token alone is changed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/fields.h"

namespace diffit {

class ImageDiffiT;
class LatentDiffiT;

/// Of one layer at one noise level sigma_i. The layer's input h_i is what the network makes of pictures with
/// noise of sigma_i; it is kept, and the time token is replaced by that of each other level sigma_j. Means
/// over j != i, pictures, windows, heads and queries.
struct Movement {
  double attention = 0;  // total variation, 1/2 sum over keys |A(h_i, t_j) - A(h_i, t_i)|: 0 to 1
  double q = 0;          // |q(h_i, t_j) - q(h_i, t_i)| / |q(h_i, t_i)|, of all numbers of the map
  double k = 0, v = 0;
  double reach = 0;  // of A(h_i, t_i): mean distance from query to key, in pixels of the layer's map
};

struct LayerMovement {
  std::string layer;         // "encoder.0.blocks.0", "blocks.5"
  std::int64_t window = 0;   // side of its attention window
  std::vector<Movement> at;  // one a noise level
};

struct TimeMovement {
  std::vector<double> sigmas;
  std::vector<LayerMovement> layers;  // in the order of evaluation

  /// Mean attention movement over layers and levels.
  double mean_attention() const;
};

/// x [N, ...] as the model's samples are: pictures [N, C, R, R] in [-1, 1] or latents [N, C, S, S], float32;
/// labels [N] int64, undefined for none; sigmas: at least two, for a latent model rounded to those of its
/// process. The noise of sample i is that of seed i, the same at each level but for its size. progress:
/// levels done, all; may throw to stop.
using LevelProgress = std::function<void(std::int64_t done, std::int64_t all)>;
TimeMovement measure_time_movement(ImageDiffiT& model, const at::Tensor& x, const at::Tensor& labels,
                                   const std::vector<double>& sigmas, const LevelProgress& progress = {});
TimeMovement measure_time_movement(LatentDiffiT& model, const at::Tensor& x, const at::Tensor& labels,
                                   const std::vector<double>& sigmas, const LevelProgress& progress = {});

Json to_json(const TimeMovement& movement);

}  // namespace diffit
