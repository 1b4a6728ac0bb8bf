// The latent DiffiT (DiffiT section 3.3), as released: eps and a variance range out of a noisy latent.
#pragma once

#include <vector>

#include "nn/block.h"
#include "nn/config.h"
#include "nn/observer.h"

namespace diffit {

class LatentDiffiT {
 public:
  explicit LatentDiffiT(const LatentConfig& config);

  const LatentConfig& config() const { return config_; }
  /// In the order and with the names of the released checkpoints. The tensors are shared with the model.
  const ParameterList& parameters() const { return parameters_; }

  /// x [B, C, S, S], t [B] float32 in 0..999, y [B] int64 in 0..classes (classes: the null label)
  /// -> [B, 2C, S, S]: eps, then the variance's position in its range.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y) const;

  /// t_embedder(t) + y_embedder(y): what enters each layer as its time token, [B, hidden].
  at::Tensor time_token(const at::Tensor& t, const at::Tensor& y) const;
  /// Called, while it is set, for each layer of attention in the order of evaluation; {} takes it away.
  void observe(AttentionObserver observer) { observer_ = std::move(observer); }

  /// Recompute each block's activations in the backward pass instead of keeping them.
  void set_checkpointing(bool on) { checkpointing_ = on; }

 private:
  at::Tensor run(std::size_t i, const at::Tensor& map, const at::Tensor& time) const;

  LatentConfig config_;
  at::Tensor patch_weight_, patch_bias_;  // x_embedder.proj [hidden, C, p, p], [hidden]
  at::Tensor position_;                   // pos_embed [1, N, hidden], fixed
  TimeEmbedder t_embedder_;
  LabelEmbedder y_embedder_;
  std::vector<Block> blocks_;
  Linear final_;
  bool checkpointing_ = false;
  AttentionObserver observer_;
  ParameterList parameters_;
};

/// The fixed two-dimensional sin-cos table [grid * grid, width]: the first half of the width encodes the
/// column, the second the row; in each, sines then cosines of position / 10000^(i / (width / 4)). Float32
/// from float64.
at::Tensor sincos_position(std::int64_t width, std::int64_t grid);

}  // namespace diffit
