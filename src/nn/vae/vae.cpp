#include "nn/vae/vae.h"

#include "base/error.h"
#include "runtime/pch.h"

namespace diffit::nn {

namespace {

at::Tensor channels_last(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1}).contiguous();
}
at::Tensor channels_first(const at::Tensor& x) {
  return x.permute({0, 3, 1, 2}).contiguous();
}

VaeStage make_stage(std::int64_t in, std::int64_t out, std::int64_t blocks, std::int64_t groups,
                    bool resamples) {
  VaeStage stage;
  for (std::int64_t k = 0; k < blocks; ++k) stage.blocks.emplace_back(k == 0 ? in : out, out, groups);
  if (resamples) stage.resample = Conv2d(out, out, 3, 1);
  return stage;
}

void add_stages(ParameterList& list, const std::vector<VaeStage>& stages, const std::string& prefix,
                const std::string& resampler) {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const std::string stage = fmt::format("{}.{}", prefix, i);
    for (std::size_t k = 0; k < stages[i].blocks.size(); ++k) {
      stages[i].blocks[k].add_to(list, fmt::format("{}.resnets.{}", stage, k));
    }
    if (stages[i].resample) {
      stages[i].resample->add_to(list, fmt::format("{}.{}.0.conv", stage, resampler));
    }
  }
}

}  // namespace

Vae::Vae(const VaeConfig& config) : config_(config) {
  check_config(config_, "vae");
  const auto& width = config_.channels;
  const std::int64_t groups = config_.norm_groups, moments = 2 * config_.latent_channels;
  const std::size_t stages = width.size();

  encoder_in_ = Conv2d(config_.in_channels, width.front(), 3);
  for (std::size_t i = 0; i < stages; ++i) {
    const std::int64_t in = i == 0 ? width[0] : width[i - 1];
    down_.push_back(make_stage(in, width[i], config_.blocks, groups, i + 1 < stages));
    if (i + 1 < stages) down_.back().resample->stride = 2;
  }
  encoder_mid_ = VaeMidBlock(width.back(), groups);
  encoder_norm_ = GroupNorm(width.back(), groups, kVaeNormEps);
  encoder_out_ = Conv2d(width.back(), moments, 3);
  quant_ = Conv2d(moments, moments, 1);

  post_quant_ = Conv2d(config_.latent_channels, config_.latent_channels, 1);
  decoder_in_ = Conv2d(config_.latent_channels, width.back(), 3);
  decoder_mid_ = VaeMidBlock(width.back(), groups);
  for (std::size_t i = stages; i-- > 0;) {
    const std::int64_t in = i + 1 == stages ? width[i] : width[i + 1];
    up_.push_back(make_stage(in, width[i], config_.blocks + 1, groups, i > 0));
  }
  decoder_norm_ = GroupNorm(width.front(), groups, kVaeNormEps);
  decoder_out_ = Conv2d(width.front(), config_.in_channels, 3);

  encoder_in_.add_to(parameters_, "encoder.conv_in");
  add_stages(parameters_, down_, "encoder.down_blocks", "downsamplers");
  encoder_mid_.add_to(parameters_, "encoder.mid_block");
  encoder_norm_.add_to(parameters_, "encoder.conv_norm_out");
  encoder_out_.add_to(parameters_, "encoder.conv_out");
  decoder_in_.add_to(parameters_, "decoder.conv_in");
  decoder_mid_.add_to(parameters_, "decoder.mid_block");
  add_stages(parameters_, up_, "decoder.up_blocks", "upsamplers");
  decoder_norm_.add_to(parameters_, "decoder.conv_norm_out");
  decoder_out_.add_to(parameters_, "decoder.conv_out");
  quant_.add_to(parameters_, "quant_conv");
  post_quant_.add_to(parameters_, "post_quant_conv");
}

at::Tensor Vae::encode(const at::Tensor& images) const {
  DIFFIT_CHECK(images.dim() == 4 && images.numel() > 0 && images.size(1) == config_.in_channels,
               "the autoencoder encodes images [B, {}, H, W], got [{}]", config_.in_channels,
               fmt::join(images.sizes(), ", "));
  DIFFIT_CHECK(images.size(2) % factor() == 0 && images.size(3) % factor() == 0,
               "the autoencoder encodes images whose sides are multiples of {}, got {} x {} (width x height)",
               factor(), images.size(3), images.size(2));
  at::Tensor map = encoder_in_(channels_last(images));
  for (const VaeStage& stage : down_) {
    for (const VaeResBlock& block : stage.blocks) map = block(map);
    if (stage.resample) map = downsample(*stage.resample, map);
  }
  map = encoder_out_(encoder_norm_(encoder_mid_(map), /*silu=*/true));
  const at::Tensor moments = channels_first(quant_(map)).to(images.scalar_type());
  const std::int64_t latent = config_.latent_channels;
  return at::cat({moments.narrow(1, 0, latent), moments.narrow(1, latent, latent).clamp(-30, 20)}, 1);
}

at::Tensor Vae::decode_lowest(const at::Tensor& z) const {
  DIFFIT_CHECK(z.dim() == 4 && z.numel() > 0 && z.size(1) == config_.latent_channels,
               "the autoencoder decodes latents [B, {}, h, w], got [{}]", config_.latent_channels,
               fmt::join(z.sizes(), ", "));
  return decoder_mid_(decoder_in_(post_quant_(channels_last(z))));
}

at::Tensor Vae::decode(const at::Tensor& z) const {
  at::Tensor map = decode_lowest(z);
  for (const VaeStage& stage : up_) {
    for (const VaeResBlock& block : stage.blocks) map = block(map);
    if (stage.resample) map = upsample(*stage.resample, map);
  }
  return channels_first(decoder_out_(decoder_norm_(map, /*silu=*/true))).to(z.scalar_type());
}

}  // namespace diffit::nn
