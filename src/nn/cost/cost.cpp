#include "nn/cost/cost.h"

#include <algorithm>

#include "nn/cost/ddpmpp_cost.h"
#include "nn/layers/layer_counter.h"

namespace diffit::nn {

namespace {

struct Counter : LayerCounter {
  void block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
             double mlp_ratio, double tokens, TimePath path = TimePath::tmsa) {
    const auto inner = static_cast<std::int64_t>(static_cast<double>(width) * mlp_ratio);
    const std::int64_t table = (2 * window - 1) * (2 * window - 1) * heads;
    const auto keys = static_cast<double>(window * window + (path == TimePath::tokens ? 1 : 0));
    linear(width, 3 * width, tokens);
    linear(width, width, tokens);
    linear(width, inner, tokens);
    linear(inner, width, tokens);
    cost.parameters += table;
    attention(width, tokens, keys);
    // Two LayerNorms, the output of attention and the output of GELU.
    cost.activations += static_cast<double>(3 * width + inner) * tokens;
    switch (path) {
      case TimePath::tmsa:
        linear(time_width, 3 * width, 1);
        break;
      case TimePath::position_bias:
        linear(time_width, table, 1);
        probabilities(heads, tokens, keys);
        break;
      case TimePath::tokens:
        linear(time_width, 2 * width, 1);
        probabilities(heads, tokens, keys);
        break;
      case TimePath::mlp:
        linear(time_width, inner, 1);
        elementwise(inner, tokens);
        break;
      case TimePath::adaln:
      case TimePath::adaln_zero:
        linear(time_width, (path == TimePath::adaln ? 4 : 6) * width, 1);
        elementwise((path == TimePath::adaln ? 2 : 4) * width, tokens);
        break;
      case TimePath::cross_attention:
        linear(width, width, tokens);
        linear(time_width, 2 * kTimeTokens * width, 1);
        linear(width, width, tokens);
        attention(width, tokens, kTimeTokens);
        elementwise(2 * width, tokens);
        break;
      case TimePath::scale_shift:
      case TimePath::concat:
      case TimePath::add:
      case TimePath::none:
        break;
    }
  }
  /// A transformer block with its convolution.
  void res_block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
                 double mlp_ratio, double pixels, TimePath path) {
    const std::int64_t more = path == TimePath::concat ? width / 4 : 0;
    norm(width, pixels);
    convolution(width + more, width, 3, pixels);
    if (path == TimePath::scale_shift) {
      linear(time_width, 2 * width, 1);
      elementwise(2 * width, pixels);
    }
    if (path == TimePath::concat) {
      linear(time_width, more, 1);
      elementwise(width + more, pixels);
    }
    if (path == TimePath::add) linear(time_width, width, 1);
    block(width, time_width, heads, window, mlp_ratio, pixels, path);
  }
  void down(std::int64_t in, std::int64_t out, Sampling sampling, double pixels) {
    if (sampling == Sampling::convolution) return convolution(in, out, 3, pixels);
    elementwise(4 * in, pixels);
    linear(4 * in, out, pixels);
  }
  void up(std::int64_t in, std::int64_t out, Sampling sampling, double pixels) {
    if (sampling == Sampling::convolution) return convolution(in, out, 3, pixels);
    linear(in, 4 * out, pixels / 4);
  }
  void time_embedding(std::int64_t width, std::int64_t label_rows) {
    linear(256, width, 1);
    linear(width, width, 1);
    cost.parameters += label_rows * width;
  }

 private:
  /// Attention probabilities are kept only without the fused kernel, which recomputes them.
  void probabilities(std::int64_t heads, double queries, double keys) {
    cost.activations += static_cast<double>(heads) * queries * keys;
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
  const auto [path, encoder, decoder, sampling] = std::tuple(c.time, c.encoder, c.decoder, c.sampling);
  const auto blocks = [&](Counter& n, std::int64_t i, std::int64_t count, bool diffit) {
    const std::int64_t width = c.channels[static_cast<std::size_t>(i)];
    for (std::int64_t k = 0; k < count; ++k) {
      if (diffit) {
        n.res_block(width, c.time_width(), c.heads_of(i), c.window_of(i), c.mlp_ratio, pixels_of(i), path);
      } else {
        n.block(width, c.time_width(), c.heads_of(i), c.window_of(i), c.mlp_ratio, pixels_of(i),
                TimePath::tokens);
      }
    }
  };
  const auto time_and_label = [&](Counter& n) {
    n.time_embedding(c.time_width(), c.classes > 0 ? c.classes + 1 : 0);
    if (c.time_embedding == TimeFeatures::fourier) n.cost.parameters += 128;
    if (c.augment_labels > 0) n.linear(c.augment_labels, c.time_width(), 1, false);
  };
  const auto head = [&](Counter& n) {
    n.norm(c.channels[0], pixels_of(0));
    n.convolution(c.channels[0], c.in_channels, 3, pixels_of(0));
  };
  const std::int64_t last = c.stages() - 1;
  if (c.is_ddpmpp()) {
    part("tokenizer", [&](Counter& n) { n.convolution(c.in_channels, c.channels[0], 3, pixels_of(0)); });
    part("time and label", time_and_label);
    for (PartCost& block : ddpmpp_cost(c)) parts.push_back(std::move(block));
    part("head", head);
    return parts;
  }
  const bool vit = encoder == Encoder::vit;
  if (vit) {
    part("patches", [&](Counter& n) {
      const std::int64_t patch = std::int64_t{1} << last, width = c.channels.back();
      n.linear(patch * patch * c.in_channels, width, pixels_of(last));
      n.cost.parameters += c.resolution_of(last) * c.resolution_of(last) * width;
    });
  } else {
    part("tokenizer", [&](Counter& n) { n.convolution(c.in_channels, c.channels[0], 3, pixels_of(0)); });
  }
  if (path != TimePath::none) {
    part("time and label", time_and_label);
  }
  if (vit) part("encoder.0", [&](Counter& n) { blocks(n, last, c.vit_depth(), /*diffit=*/false); });
  for (std::int64_t i = 0; i <= last && !vit; ++i) {
    part(fmt::format("encoder.{}", i), [&](Counter& n) {
      const auto s = static_cast<std::size_t>(i);
      blocks(n, i, c.depth[s], encoder == Encoder::diffit);
      if (i < last) n.down(c.channels[s], c.channels[s + 1], sampling, pixels_of(i + 1));
    });
  }
  for (std::int64_t i = last; i-- > 0 && decoder != Decoder::setr_mla;) {
    part(fmt::format("decoder.{}", i), [&](Counter& n) {
      const auto s = static_cast<std::size_t>(i);
      n.up(c.channels[s + 1], c.channels[s], sampling, pixels_of(i));
      n.convolution(2 * c.channels[s], c.channels[s], 1, pixels_of(i));
      blocks(n, i, c.depth[s], decoder == Decoder::diffit);
    });
  }
  if (decoder == Decoder::setr_mla) {
    part("decoder", [&](Counter& n) {
      const std::int64_t width = c.channels.front();
      for (std::int64_t i = 0; i <= last; ++i) {
        const double pixels = pixels_of(vit ? last : i);
        n.convolution(vit ? c.channels.back() : c.channels[static_cast<std::size_t>(i)], width, 1, pixels);
        n.convolution(width, width, 3, pixels);
        n.elementwise(width, pixels + pixels_of(0));
        if (vit && last > 0) n.linear(width, (width << last) << last, pixels);
      }
      n.convolution(width * c.stages(), width, 3, pixels_of(0));
    });
  }
  part("head", head);
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

}  // namespace diffit::nn
