// EDM (Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative
// models"): denoiser and loss, with the symbols of the paper.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "diffusion/parameterisation.h"

namespace diffit::diffusion {

/// F(x, c_noise): x [B, ...], c_noise [B] -> [B, ...].
using RawNetwork = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& c_noise)>;

/// Returns D(x; sigma) in float32: x [B, ...] float32, sigma [B] float32 -> [B, ...].
at::Tensor denoised(const RawNetwork& network, const Parameterisation& p, const at::Tensor& x,
                    const at::Tensor& sigma);

/// E[ lambda(sigma) || D(y + n; sigma) - y ||^2 ] per element (EDM eq. 2 and 8) with lambda = 1 / c_out^2.
/// This is the squared error of the predicted quantity F. For EDM, all noise levels have equal weight at
/// initialization; for the noise of VP and VE, lambda is their 1 / sigma^2.
/// y [B, ...]: clean images; n [B, ...]: noise with standard deviation sigma [B]; all float32. Returns the
/// mean over the batch and the elements of an image as a float32 scalar.
at::Tensor edm_loss(const RawNetwork& network, const Parameterisation& p, const at::Tensor& y,
                    const at::Tensor& n, const at::Tensor& sigma);

}  // namespace diffit::diffusion
