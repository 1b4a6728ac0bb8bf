// Denoising trajectories of a few seeds, from noise to image.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "diffusion/sampler.h"
#include "io/images/image.h"

namespace diffit::report {

/// Trajectories of B images at the same K noise levels.
struct Trajectories {
  std::vector<double> sigmas;                // noise levels shown, decreasing
  std::vector<std::vector<Image>> states;    // [B][K] x / sqrt(1 + sigma^2): the state of the sampler
  std::vector<std::vector<Image>> denoised;  // [B][K] D(x; sigma): the expected image
  std::vector<Image> results;                // [B]
  at::Tensor samples;                        // samples of the results: [B, C, R, R] float32 on the CPU
};

/// Converts samples [B, C, R, R] float32 on the CPU to images.
using ToImages = std::function<std::vector<Image>(const at::Tensor& samples)>;

/// Runs Heun's method on the grid `sigmas` (which ends with 0) from unit noise [B, C, R, R] and keeps `shown`
/// of its levels, including the first and the last. `to_images` is called only for what is shown. Throws
/// Error(failed) for non-finite states.
Trajectories trace(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                   std::size_t shown, const ToImages& to_images, const StepProgress& progress = {});

/// Returns `count` of the numbers 0 .. all - 1, evenly spread and including both ends; all of them if there
/// are fewer.
std::vector<std::size_t> spread(std::size_t all, std::size_t count);

}  // namespace diffit::report
