// Denoising error by noise level: the distance of D(y + n; sigma) from y.
#pragma once

#include <vector>

#include "diffusion/sampler.h"

namespace diffit::analysis {

/// Returns `levels` noise levels, equally spaced in ln sigma, in decreasing order. Throws Error(invalid)
/// unless levels >= 1 and 0 < sigma_min <= sigma_max.
std::vector<double> noise_levels(double sigma_min, double sigma_max, std::int64_t levels);

/// Mean square of D(y + n; sigma) - y over the elements of each image (the error weighted in EDM eq. 2).
///   y [N, C, H, W] float32; n: sigma times standard normal noise of (seed, image first + i, level k)
/// The noise is the same for every model and data set, so that differences are paired. Evaluates `batch`
/// images at a time. Returns [levels, N] float64.
at::Tensor noise_errors(const Denoiser& denoise, const at::Tensor& y, const std::vector<double>& sigmas,
                        std::uint64_t seed, std::int64_t first, std::int64_t batch);

}  // namespace diffit::analysis
