// Likelihood of images under a model: likelihood of the probability-flow ODE (Song et al. 2021, section 4.3),
// and a bound for 8-bit images derived from it.
#pragma once

#include <vector>

#include "diffusion/sampler.h"

namespace diffit::analysis {

/// Returns ln p(z), where p is the density that the probability-flow ODE dx/dsigma = (x - D(x; sigma)) /
/// sigma transports from N(0, sigma_max^2) at the largest noise level to the smallest one:
///   ln p(z) = ln N(x(sigma_max); 0, sigma_max^2) + integral of (d - tr dD/dx) d ln sigma,   x(sigma_min) = z
/// The trace is Hutchinson's estimate with one Rademacher vector per image, drawn from (seed, first + i) and
/// fixed along the path. Uses Heun's method; the integral uses the trapezoidal rule.
///   z [B, C, H, W]; sigmas: at least two, increasing; D must be differentiable by autograd
/// Returns [B] float64 in nats. Makes 2 (sigmas.size() - 1) evaluations, each with its gradient. Throws
/// Error(invalid) for fewer than two noise levels.
at::Tensor log_density(const Denoiser& denoise, const at::Tensor& z, const std::vector<double>& sigmas,
                       std::uint64_t seed, std::int64_t first);

/// Returns an upper bound on -log2 P(y) in bits per element for images y with 256 levels (y = level / 127.5 -
/// 1): the variational bound for y observed through z = y + sigma_min n, as in Kingma et al. 2021 (VDM),
///   -ln P(y) <= E[ln q(z | y) - ln p(z) - ln P(y | z)],
/// where q = N(y, sigma_min^2), and P(y | z) is the density of each level's q at z, normalized over levels.
/// Uses one draw of n per image.
///   y [B, C, H, W] float32 -> [B] float64
at::Tensor bits_a_number(const Denoiser& denoise, const at::Tensor& y, const std::vector<double>& sigmas,
                         std::uint64_t seed, std::int64_t first);

}  // namespace diffit::analysis
