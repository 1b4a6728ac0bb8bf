// The autoencoder of latent diffusion (AutoencoderKL): pictures to the moments of their latents, and back.
#pragma once

#include <vector>

#include "nn/vae_config.h"
#include "nn/vae_layers.h"

namespace diffit {

/// One resolution on either side.
struct VaeStage {
  std::vector<VaeResBlock> blocks;
  Conv2d resample;  // down (encoder) or up (decoder) after the blocks; undefined in the last stage of either
                    // side
};

class Vae {
 public:
  explicit Vae(const VaeConfig& config);

  const VaeConfig& config() const { return config_; }
  /// Under diffusers' names. The tensors are shared with the model.
  const ParameterList& parameters() const { return parameters_; }
  std::int64_t factor() const { return config_.factor(); }

  /// pictures [B, in_channels, H, W] in [-1, 1], sides multiples of factor() -> moments [B, 2L, h, w]: the
  /// posterior's mean, then its log variance, cut to [-30, 20]. h = H / factor(). Differentiable.
  at::Tensor encode(const at::Tensor& pictures) const;

  /// z [B, L, h, w], unscaled (latents of diffusion models are z * config().scale) -> pictures
  /// [B, in_channels, H, W], not cut to [-1, 1]. Differentiable.
  at::Tensor decode(const at::Tensor& z) const;

  /// The same function as decode() in less than half the memory, without gradients: one picture at a time,
  /// each layer in strips of `latent_rows` latent rows (>= 1). Every GroupNorm takes its moments over the
  /// whole picture, so there are no seams and no shift of colour: the results differ by rounding alone. Held
  /// whole are two maps of the first stage and one of the second, 1.3 KB a pixel for Stable Diffusion's in
  /// float32; the rest is bounded by the strip. The convolution into the last stage is computed twice.
  at::Tensor decode_in_strips(const at::Tensor& z, std::int64_t latent_rows) const;

 private:
  at::Tensor decode_lowest(const at::Tensor& z) const;

  VaeConfig config_;
  Conv2d encoder_in_, encoder_out_, quant_, post_quant_, decoder_in_, decoder_out_;
  std::vector<VaeStage> down_, up_;  // up_[0] works at the lowest resolution
  VaeMidBlock encoder_mid_, decoder_mid_;
  GroupNorm encoder_norm_, decoder_norm_;
  ParameterList parameters_;
};

}  // namespace diffit
