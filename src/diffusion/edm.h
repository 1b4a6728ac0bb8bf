// EDM (Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative
// models"): preconditioning, training noise and loss. Symbols and order are the paper's.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "base/random.h"

namespace diffit {

/// The coefficients of D(x; sigma) = c_skip x + c_out F(c_in x; c_noise) (EDM eq. 7, table 1).
/// sigma [B] float32 or float64 > 0; each result has sigma's shape and type.
struct Preconditioning {
  double sigma_data = 0.5;

  at::Tensor c_skip(const at::Tensor& sigma) const;
  at::Tensor c_out(const at::Tensor& sigma) const;
  at::Tensor c_in(const at::Tensor& sigma) const;
  static at::Tensor c_noise(const at::Tensor& sigma);
};

/// F(x, c_noise): x [B, ...], c_noise [B] -> [B, ...].
using RawNetwork = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& c_noise)>;

/// D(x; sigma), float32: x [B, ...] float32, sigma [B] float32.
at::Tensor denoised(const RawNetwork& network, const Preconditioning& p, const at::Tensor& x,
                    const at::Tensor& sigma);

/// ln sigma ~ N(mean, deviation^2) (EDM table 1, "noise distribution").
struct NoiseDistribution {
  double mean = -1.2;
  double deviation = 1.2;

  double sigma(Random& random) const;
};

/// E[ lambda(sigma) || D(y + n; sigma) - y ||^2 ] per number (EDM eq. 2 and 8), lambda = 1 / c_out^2, so that
/// every noise level weighs the same at the start.
///   y [B, ...] clean pictures, n [B, ...] noise of deviation sigma [B]; all float32
/// Returns the mean over the batch and the numbers of a picture, a float32 scalar.
at::Tensor edm_loss(const RawNetwork& network, const Preconditioning& p, const at::Tensor& y,
                    const at::Tensor& n, const at::Tensor& sigma);

}  // namespace diffit
