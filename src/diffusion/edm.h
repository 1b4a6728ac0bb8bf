// EDM (Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative
// models"): preconditioning, training noise and loss, with the symbols and in the order of the paper.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "base/random.h"
#include "nn/diffit/precondition.h"

namespace diffit::diffusion {

/// Coefficients of D(x; sigma) = c_skip x + c_out F(c_in x; c_noise) (EDM eq. 7, table 1): those of EDM, or
/// those of the VP and VE processes of Song et al. 2021 (table 1, "network and preconditioning"), which do
/// not use sigma_data. sigma [B] float32 or float64 > 0; each result has the shape and dtype of sigma.
struct Preconditioning {
  double sigma_data = 0.5;
  Precondition kind = Precondition::edm;

  at::Tensor c_skip(const at::Tensor& sigma) const;
  at::Tensor c_out(const at::Tensor& sigma) const;
  at::Tensor c_in(const at::Tensor& sigma) const;
  at::Tensor c_noise(const at::Tensor& sigma) const;
};

/// VP process in continuous time (EDM table 1): sigma(t) = sqrt(exp(beta_d t^2 / 2 + beta_min t) - 1).
struct VpProcess {
  static constexpr double kBetaD = 19.9, kBetaMin = 0.1, kEpsT = 1e-5, kSteps = 1000;

  /// Noise level at time t in [0, 1].
  static double sigma(double t);
  /// Inverse of sigma(t), with the shape and dtype of sigma.
  static at::Tensor t(const at::Tensor& sigma);
};

/// Range of noise levels used in training; samplers may use the network within it.
struct SigmaRange {
  double least, most;
};
SigmaRange sigma_range(Precondition kind);

/// F(x, c_noise): x [B, ...], c_noise [B] -> [B, ...].
using RawNetwork = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& c_noise)>;

/// Returns D(x; sigma) in float32: x [B, ...] float32, sigma [B] float32 -> [B, ...].
at::Tensor denoised(const RawNetwork& network, const Preconditioning& p, const at::Tensor& x,
                    const at::Tensor& sigma);

/// Noise distribution of EDM table 1. EDM: ln sigma ~ N(mean, deviation^2). VP: sigma(t) with t ~ U(eps_t,
/// 1). VE: ln sigma ~ U(ln 0.02, ln 100).
struct NoiseDistribution {
  double mean = -1.2;
  double deviation = 1.2;
  Precondition kind = Precondition::edm;

  /// Draws one noise level.
  double sigma(Random& random) const;
};

/// E[ lambda(sigma) || D(y + n; sigma) - y ||^2 ] per element (EDM eq. 2 and 8) with lambda = 1 / c_out^2.
/// For EDM, all noise levels have equal weight at initialization; for VP and VE, lambda is their 1 /
/// sigma^2.
/// y [B, ...]: clean images; n [B, ...]: noise with standard deviation sigma [B]; all float32. Returns the
/// mean over the batch and the elements of an image as a float32 scalar.
at::Tensor edm_loss(const RawNetwork& network, const Preconditioning& p, const at::Tensor& y,
                    const at::Tensor& n, const at::Tensor& sigma);

}  // namespace diffit::diffusion
