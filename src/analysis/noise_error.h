// Where a model's error sits: how far D(y + n; sigma) is from y at each noise level.
#pragma once

#include <vector>

#include "diffusion/sampler.h"

namespace diffit {

/// `levels` noise levels at equal distances of ln sigma, from the highest on.
std::vector<double> noise_levels(double sigma_min, double sigma_max, std::int64_t levels);

/// The mean square over the numbers of each picture of D(y + n; sigma) - y (what EDM eq. 2 weighs).
///   y [N, C, H, W] float32; n = sigma times standard normals of (seed, picture first + i, level k), the same
///   for every model and data set, so that differences are paired
/// -> [levels, N] float64. Evaluated `batch` pictures at a time.
at::Tensor noise_errors(const Denoiser& denoise, const at::Tensor& y, const std::vector<double>& sigmas,
                        std::uint64_t seed, std::int64_t first, std::int64_t batch);

}  // namespace diffit
