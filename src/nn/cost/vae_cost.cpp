#include "nn/cost/vae_cost.h"

#include "nn/layers/layer_counter.h"

namespace diffit::nn {

namespace {

struct Counter : LayerCounter {
  void residual(std::int64_t in, std::int64_t out, double pixels) {
    norm(in, pixels);
    convolution(in, out, 3, pixels);
    norm(out, pixels);
    convolution(out, out, 3, pixels);
    if (in != out) convolution(in, out, 1, pixels);
  }
  void middle(std::int64_t width, double pixels) {
    residual(width, width, pixels);
    norm(width, pixels);
    for (int layer = 0; layer < 4; ++layer) convolution(width, width, 1, pixels);  // q, k, v, out
    cost.attention_macs += 2.0 * static_cast<double>(width) * pixels * pixels;
    cost.activations += static_cast<double>(width) * pixels;
    residual(width, width, pixels);
  }
};

}  // namespace

std::vector<PartCost> cost_of(const VaeConfig& c, std::int64_t resolution) {
  const std::int64_t first = c.channels.front(), last = c.channels.back(), moments = 2 * c.latent_channels;
  const auto pixels_of = [&](std::size_t stage) {
    const auto side = static_cast<double>(resolution >> stage);
    return side * side;
  };
  const std::size_t stages = c.channels.size();
  const double lowest = pixels_of(stages - 1);

  Counter encoder, decoder;
  encoder.cost.part = "encoder";
  encoder.convolution(c.in_channels, first, 3, pixels_of(0));
  for (std::size_t i = 0; i < stages; ++i) {
    const std::int64_t width = c.channels[i];
    for (std::int64_t k = 0; k < c.blocks; ++k) {
      encoder.residual(k > 0 || i == 0 ? width : c.channels[i - 1], width, pixels_of(i));
    }
    if (i + 1 < stages) encoder.convolution(width, width, 3, pixels_of(i + 1));
  }
  encoder.middle(last, lowest);
  encoder.norm(last, lowest);
  encoder.convolution(last, moments, 3, lowest);
  encoder.convolution(moments, moments, 1, lowest);

  decoder.cost.part = "decoder";
  decoder.convolution(c.latent_channels, c.latent_channels, 1, lowest);
  decoder.convolution(c.latent_channels, last, 3, lowest);
  decoder.middle(last, lowest);
  for (std::size_t i = stages; i-- > 0;) {
    const std::int64_t width = c.channels[i];
    for (std::int64_t k = 0; k < c.blocks + 1; ++k) {
      decoder.residual(k > 0 || i + 1 == stages ? width : c.channels[i + 1], width, pixels_of(i));
    }
    if (i > 0) decoder.convolution(width, width, 3, pixels_of(i - 1));
  }
  decoder.norm(first, pixels_of(0));
  decoder.convolution(first, c.in_channels, 3, pixels_of(0));
  return {encoder.cost, decoder.cost};
}

}  // namespace diffit::nn
