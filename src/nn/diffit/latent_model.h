// Latent DiffiT (DiffiT section 3.3) as in the released code: predicts eps and a variance range from a noisy
// latent.
#pragma once

#include <vector>

#include "nn/diffit/block.h"
#include "nn/diffit/config.h"
#include "nn/diffit/embedders.h"
#include "nn/layers/observer.h"

namespace diffit::nn {

/// Trainable latent model. LatentEvaluator is the faster, inference-only version. Parameters are
/// uninitialized until initialise() or load_parameters() is called. Not thread-safe.
class LatentDiffiT {
 public:
  explicit LatentDiffiT(const LatentConfig& config);

  const LatentConfig& config() const { return config_; }
  /// Parameters in the order and with the names of the released weights. The tensors share storage with
  /// the model.
  const ParameterList& parameters() const { return parameters_; }

  /// x [B, C, S, S], t [B] float32 in 0..999, y [B] int64 in 0..classes (classes is the null label) -> [B,
  /// 2C, S, S]: eps, then the position of the variance in its range.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y) const;

  /// Returns t_embedder(t) + y_embedder(y), the time token of every layer: [B, hidden].
  at::Tensor time_token(const at::Tensor& t, const at::Tensor& y) const;
  /// Sets a callback that is run for every attention layer during forward, in order of evaluation. Pass {} to
  /// remove it.
  void observe(AttentionObserver observer) { observer_ = std::move(observer); }
  /// Whether an observer is called, so that an evaluation must not be recorded (runtime/graph.h).
  bool observed() const { return static_cast<bool>(observer_); }

  /// If on, each block's activations are recomputed in the backward pass instead of being kept.
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

/// Returns the sizes of the blocks, which are the same for all blocks.
BlockShape latent_block_shape(const LatentConfig& config);

/// Returns the fixed two-dimensional sin-cos position table [grid * grid, width] in float32, computed in
/// float64. The first half of the width encodes the column, the second half the row; each half holds sines,
/// then cosines, of position / 10000^(i / (width / 4)).
at::Tensor sincos_position(std::int64_t width, std::int64_t grid);

}  // namespace diffit::nn
