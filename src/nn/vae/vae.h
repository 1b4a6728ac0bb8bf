// Autoencoder of latent diffusion (AutoencoderKL): encodes images to the moments of their latents and decodes
// latents.
#pragma once

#include <optional>
#include <vector>

#include "nn/vae/vae_config.h"
#include "nn/vae/vae_layers.h"

namespace diffit::nn {

/// Layers of one resolution in the encoder or the decoder.
struct VaeStage {
  std::vector<VaeResBlock> blocks;
  std::optional<Conv2d> resample;  // down (encoder) or up (decoder) after the blocks; none in the last stage
};

/// Encoder and decoder. Parameters are uninitialized until initialise() or load_parameters() is called.
class Vae {
 public:
  explicit Vae(const VaeConfig& config);

  const VaeConfig& config() const { return config_; }
  /// Parameters under the names of diffusers. The tensors share storage with the model.
  const ParameterList& parameters() const { return parameters_; }
  /// Ratio of the side of an image to the side of its latent.
  std::int64_t factor() const { return config_.factor(); }

  /// images [B, in_channels, H, W] in [-1, 1], with sides that are multiples of factor() -> moments [B, 2L,
  /// h, w] with h = H / factor(): mean of the posterior, then its log variance, clamped to [-30, 20].
  /// Differentiable.
  at::Tensor encode(const at::Tensor& images) const;

  /// z [B, L, h, w], unscaled (latents of diffusion models are z * config().scale) -> images [B, in_channels,
  /// H, W], not clamped to [-1, 1]. Differentiable.
  at::Tensor decode(const at::Tensor& z) const;

  /// Computes the same function as decode() in less than half the memory, without gradients: one image at a
  /// time, each layer in strips of `latent_rows` latent rows (>= 1). Every GroupNorm uses the moments of the
  /// whole image, so there are no seams or color shifts: the results differ only by rounding. Two maps of the
  /// first stage and one of the second are held in full, 1.3 KB per pixel for Stable Diffusion's decoder in
  /// float32; the remaining memory is bounded by the strip. The convolution into the last stage is computed
  /// twice.
  at::Tensor decode_in_strips(const at::Tensor& z, std::int64_t latent_rows) const;

 private:
  at::Tensor decode_lowest(const at::Tensor& z) const;

  VaeConfig config_;
  Conv2d encoder_in_, encoder_out_, quant_, post_quant_, decoder_in_, decoder_out_;
  std::vector<VaeStage> down_, up_;  // up_[0] has the lowest resolution
  VaeMidBlock encoder_mid_, decoder_mid_;
  GroupNorm encoder_norm_, decoder_norm_;
  ParameterList parameters_;
};

}  // namespace diffit::nn
