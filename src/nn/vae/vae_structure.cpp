#include "nn/vae/vae_structure.h"

#include <fmt/format.h>

namespace diffit::nn {

namespace {

void describe_residual(std::int64_t in, std::int64_t out, double pixels, const std::string& prefix,
                       Structure& s) {
  s.norm(prefix + ".norm1", in, pixels);
  s.convolution(prefix + ".conv1", in, out, 3, pixels);
  s.norm(prefix + ".norm2", out, pixels);
  s.convolution(prefix + ".conv2", out, out, 3, pixels);
  if (in != out) s.convolution(prefix + ".conv_shortcut", in, out, 1, pixels);
}

void describe_mid_block(std::int64_t width, double pixels, const std::string& prefix, Structure& s) {
  const std::string attention = prefix + ".attentions.0";
  s.norm(attention + ".group_norm", width, pixels);
  for (const char* layer : {"to_q", "to_k", "to_v", "to_out.0"}) {
    s.linear(fmt::format("{}.{}", attention, layer), width, width, pixels);
  }
  s.attention(attention, width, pixels, pixels);
  s.elementwise(attention, width, pixels);
  describe_residual(width, width, pixels, prefix + ".resnets.0", s);
  describe_residual(width, width, pixels, prefix + ".resnets.1", s);
}

void describe_residuals(std::int64_t in, std::int64_t out, std::int64_t count, double pixels,
                        const std::string& prefix, Structure& s) {
  for (std::int64_t k = 0; k < count; ++k) {
    describe_residual(k == 0 ? in : out, out, pixels, fmt::format("{}.resnets.{}", prefix, k), s);
  }
}

}  // namespace

Structure describe(const VaeConfig& c, std::int64_t resolution) {
  const std::int64_t first = c.channels.front(), last = c.channels.back(), moments = 2 * c.latent_channels;
  const std::size_t stages = c.channels.size();
  const auto pixels_of = [&](std::size_t stage) {
    const auto side = static_cast<double>(resolution >> stage);
    return side * side;
  };
  const double lowest = pixels_of(stages - 1);
  Structure s;

  s.part("encoder");
  s.convolution("encoder.conv_in", c.in_channels, first, 3, pixels_of(0));
  for (std::size_t i = 0; i < stages; ++i) {
    const std::int64_t width = c.channels[i], in = c.channels[i == 0 ? 0 : i - 1];
    const std::string stage = fmt::format("encoder.down_blocks.{}", i);
    describe_residuals(in, width, c.blocks, pixels_of(i), stage, s);
    if (i + 1 < stages) s.convolution(stage + ".downsamplers.0.conv", width, width, 3, pixels_of(i + 1));
  }
  describe_mid_block(last, lowest, "encoder.mid_block", s);
  s.norm("encoder.conv_norm_out", last, lowest);
  s.convolution("encoder.conv_out", last, moments, 3, lowest);

  s.part("decoder");
  s.convolution("decoder.conv_in", c.latent_channels, last, 3, lowest);
  describe_mid_block(last, lowest, "decoder.mid_block", s);
  for (std::size_t k = 0; k < stages; ++k) {  // from the lowest resolution up
    const std::size_t i = stages - 1 - k;
    const std::int64_t width = c.channels[i], in = c.channels[k == 0 ? i : i + 1];
    const std::string stage = fmt::format("decoder.up_blocks.{}", k);
    describe_residuals(in, width, c.blocks + 1, pixels_of(i), stage, s);
    if (i > 0) s.convolution(stage + ".upsamplers.0.conv", width, width, 3, pixels_of(i - 1));
  }
  s.norm("decoder.conv_norm_out", first, pixels_of(0));
  s.convolution("decoder.conv_out", first, c.in_channels, 3, pixels_of(0));

  s.part("encoder");
  s.convolution("quant_conv", moments, moments, 1, lowest);
  s.part("decoder");
  s.convolution("post_quant_conv", c.latent_channels, c.latent_channels, 1, lowest);
  return s;
}

std::vector<PartCost> cost_of(const VaeConfig& config, std::int64_t resolution) {
  return cost_of(describe(config, resolution));
}

std::int64_t parameter_count(const VaeConfig& config) {
  return total(cost_of(config, config.factor())).parameters;
}

}  // namespace diffit::nn
