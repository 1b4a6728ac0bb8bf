// What a model does on the way from noise to a picture: the denoising trajectory of a few seeds.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "diffusion/sampler.h"
#include "io/picture.h"

namespace diffit {

/// The trajectories of B pictures at the same K noise levels.
struct Trajectories {
  std::vector<double> sigmas;                  // of the levels shown, falling
  std::vector<std::vector<Picture>> states;    // [B][K] x over sqrt(1 + sigma^2): what the sampler holds
  std::vector<std::vector<Picture>> denoised;  // [B][K] D(x; sigma): the picture the network expects
  std::vector<Picture> results;                // [B]
  at::Tensor samples;                          // what they are of: [B, C, R, R] float32 on the CPU
};

/// Samples [B, C, R, R] float32 on the CPU -> pictures.
using ToPictures = std::function<std::vector<Picture>(const at::Tensor& samples)>;

/// Runs Heun's method on the grid `sigmas` (ends with 0) from unit noise [B, C, R, R] and keeps `shown` of
/// its levels, the first and the last among them. `to_pictures` is asked for what is shown alone.
Trajectories trace(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                   std::size_t shown, const ToPictures& to_pictures, const StepProgress& progress = {});

/// `count` of the numbers 0 .. all - 1, evenly spread, with both ends; all of them where there are fewer.
std::vector<std::size_t> spread(std::size_t all, std::size_t count);

}  // namespace diffit
