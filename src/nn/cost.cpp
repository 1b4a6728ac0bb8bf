#include "nn/cost.h"

#include <algorithm>

#include "nn/layer_counter.h"

namespace diffit {

namespace {

struct Counter : LayerCounter {
  void block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
             double mlp_ratio, double tokens) {
    const auto inner = static_cast<std::int64_t>(static_cast<double>(width) * mlp_ratio);
    linear(width, 3 * width, tokens);
    linear(time_width, 3 * width, 1);
    linear(width, width, tokens);
    linear(width, inner, tokens);
    linear(inner, width, tokens);
    cost.parameters += (2 * window - 1) * (2 * window - 1) * heads;
    cost.attention_macs += 2.0 * static_cast<double>(width * window * window) * tokens;
    // Two layer norms, attention's output, gelu's output.
    cost.activations += static_cast<double>(3 * width + inner) * tokens;
  }
  void time_embedding(std::int64_t width, std::int64_t label_rows) {
    linear(256, width, 1);
    linear(width, width, 1);
    cost.parameters += label_rows * width;
  }
};

std::vector<PartCost> image_cost(const ImageConfig& c) {
  std::vector<PartCost> parts;
  const auto part = [&parts](std::string name, auto&& fill) {
    Counter counter;
    counter.cost.part = std::move(name);
    fill(counter);
    parts.push_back(std::move(counter.cost));
  };
  const auto pixels_of = [&c](std::int64_t stage) {
    const auto side = static_cast<double>(c.resolution_of(stage));
    return side * side;
  };
  const auto res_blocks = [&](Counter& n, std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    for (std::int64_t k = 0; k < c.depth[s]; ++k) {
      n.norm(c.channels[s], pixels_of(i));
      n.convolution(c.channels[s], c.channels[s], 3, pixels_of(i));
      n.block(c.channels[s], c.time_width(), c.heads_of(i), c.window_of(i), c.mlp_ratio, pixels_of(i));
    }
  };
  const std::int64_t last = c.stages() - 1;
  part("tokenizer", [&](Counter& n) { n.convolution(c.in_channels, c.channels[0], 3, pixels_of(0)); });
  part("time and label", [&](Counter& n) {
    n.time_embedding(c.time_width(), c.classes > 0 ? c.classes + 1 : 0);
    if (c.augment_labels > 0) n.linear(c.augment_labels, c.time_width(), 1, false);
  });
  for (std::int64_t i = 0; i <= last; ++i) {
    part(fmt::format("encoder.{}", i), [&](Counter& n) {
      const auto s = static_cast<std::size_t>(i);
      res_blocks(n, i);
      if (i < last) n.convolution(c.channels[s], c.channels[s + 1], 3, pixels_of(i + 1));
    });
  }
  for (std::int64_t i = last; i-- > 0;) {
    part(fmt::format("decoder.{}", i), [&](Counter& n) {
      const auto s = static_cast<std::size_t>(i);
      n.convolution(c.channels[s + 1], c.channels[s], 3, pixels_of(i));
      n.convolution(2 * c.channels[s], c.channels[s], 1, pixels_of(i));
      res_blocks(n, i);
    });
  }
  part("head", [&](Counter& n) {
    n.norm(c.channels[0], pixels_of(0));
    n.convolution(c.channels[0], c.in_channels, 3, pixels_of(0));
  });
  return parts;
}

std::vector<PartCost> latent_cost(const LatentConfig& c) {
  const auto tokens = static_cast<double>(c.grid() * c.grid());
  Counter embedders, blocks, head;
  embedders.cost.part = "embedders";
  embedders.linear(c.in_channels * c.patch * c.patch, c.hidden, tokens);
  embedders.time_embedding(c.hidden, c.classes + 1);
  embedders.cost.parameters += c.grid() * c.grid() * c.hidden;
  blocks.cost.part = "blocks";
  for (std::int64_t i = 0; i < c.depth; ++i) {
    blocks.block(c.hidden, c.hidden, c.heads, c.grid(), c.mlp_ratio, tokens);
  }
  head.cost.part = "final_layer";
  head.linear(c.hidden, c.patch * c.patch * c.out_channels(), tokens);
  return {embedders.cost, blocks.cost, head.cost};
}

}  // namespace

std::vector<PartCost> cost_of(const ModelConfig& config) {
  if (const auto* image = std::get_if<ImageConfig>(&config)) return image_cost(*image);
  return latent_cost(std::get<LatentConfig>(config));
}

PartCost total(const std::vector<PartCost>& parts) {
  PartCost sum{.part = "total"};
  for (const PartCost& p : parts) {
    sum.parameters += p.parameters;
    sum.layer_macs += p.layer_macs;
    sum.attention_macs += p.attention_macs;
    sum.activations += p.activations;
  }
  return sum;
}

}  // namespace diffit
