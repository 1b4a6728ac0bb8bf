#include "nn/diffit/latent_model.h"

#include <cmath>

#include "kernels/ops.h"
#include "nn/layers/checkpointing.h"

namespace diffit::nn {

at::Tensor sincos_position(std::int64_t width, std::int64_t grid) {
  const auto options = at::TensorOptions(at::kDouble);
  const std::int64_t quarter = width / 4;
  const at::Tensor omega = at::pow(10000.0, at::arange(quarter, options) / -static_cast<double>(quarter));
  const auto encode = [&](const at::Tensor& position) {  // [N] -> [N, width / 2]
    const at::Tensor angle = position.unsqueeze(1) * omega;
    return at::cat({angle.sin(), angle.cos()}, 1);
  };
  const at::Tensor token = at::arange(grid * grid, at::kLong);
  const at::Tensor column = at::remainder(token, grid), row = at::floor_divide(token, grid);
  return at::cat({encode(column.to(at::kDouble)), encode(row.to(at::kDouble))}, 1).to(at::kFloat);
}

BlockShape latent_block_shape(const LatentConfig& c) {
  return {.width = c.hidden,
          .time_width = c.hidden,
          .heads = c.heads,
          .window = c.grid(),
          .mlp_ratio = c.mlp_ratio,
          .pixels = static_cast<double>(c.grid() * c.grid())};
}

LatentDiffiT::LatentDiffiT(const LatentConfig& config) : config_(config) {
  check_config(config_, "model");
  const std::int64_t c = config_.hidden, p = config_.patch, grid = config_.grid();
  patch_weight_ = at::empty({c, config_.in_channels, p, p}, at::kFloat);
  patch_bias_ = at::empty({c}, at::kFloat);
  position_ = sincos_position(c, grid).unsqueeze(0);
  t_embedder_ = TimeEmbedder(c);
  y_embedder_ = LabelEmbedder(config_.classes, c);
  for (std::int64_t i = 0; i < config_.depth; ++i) {
    blocks_.emplace_back(latent_block_shape(config_));
  }
  final_ = Linear(c, p * p * config_.out_channels());

  parameters_.add("pos_embed", position_, Initializer::fixed);
  parameters_.add("x_embedder.proj.weight", patch_weight_, Initializer::xavier_uniform);
  parameters_.add("x_embedder.proj.bias", patch_bias_, Initializer::zero);
  t_embedder_.add_to(parameters_, "t_embedder");
  y_embedder_.add_to(parameters_, "y_embedder");
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    blocks_[i].add_to(parameters_, fmt::format("blocks.{}", i));
  final_.add_to(parameters_, "final_layer.linear", Initializer::zero);
}

at::Tensor LatentDiffiT::run(std::size_t i, const at::Tensor& map, const at::Tensor& time) const {
  const Block& block = blocks_[i];
  if (observer_) {
    observer_({fmt::format("blocks.{}", i), block.attn.window, time,
               [&](const at::Tensor& token) { return block.attention_parts(map, token); }});
  }
  if (!checkpointing_ || !at::GradMode::is_enabled()) return block(map, time);
  return checkpoint([&block](const at::Tensor& a, const at::Tensor& b) { return block(a, b); }, map, time);
}

at::Tensor LatentDiffiT::time_token(const at::Tensor& t, const at::Tensor& y) const {
  return t_embedder_(t) + y_embedder_(y);
}

at::Tensor LatentDiffiT::operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y) const {
  const std::int64_t batch = x.size(0), grid = config_.grid(), p = config_.patch,
                     out = config_.out_channels();
  // A patch is a row of p * p * C numbers, so that the patch embedding is one matrix product.
  const at::Tensor patches = x.reshape({batch, config_.in_channels, grid, p, grid, p})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({batch, grid, grid, -1});
  at::Tensor map = linear(patches, patch_weight_.flatten(1), patch_bias_) +
                   position_.reshape({1, grid, grid, config_.hidden});
  const at::Tensor time = time_token(t, y);
  for (std::size_t i = 0; i < blocks_.size(); ++i) map = run(i, map, time);
  return final_(at::silu(layer_norm(map, kLayerNormEps)))
      .reshape({batch, grid, grid, p, p, out})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({batch, out, grid * p, grid * p});
}

}  // namespace diffit::nn
