// The image-space DiffiT (DiffiT section 3.2, figure 4): F(x, c_noise, y) of EDM's preconditioning.
#pragma once

#include <vector>

#include "nn/block.h"
#include "nn/config.h"

namespace diffit {

/// x = Block(Conv3x3(SiLU(GN(x))), time) + x (DiffiT eq. 9 and 10).
struct ResBlock {
  at::Tensor norm_weight, norm_bias;
  Conv2d conv;
  Block block;
  std::int64_t groups = 1;

  ResBlock(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
           double mlp_ratio);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// The ResBlocks of one resolution on one side of the U.
struct Stage {
  std::vector<ResBlock> blocks;
  Conv2d down;      // encoder, but for the last stage: 3x3, stride 2
  Conv2d up, fuse;  // decoder: 3x3 after doubling; 1x1 over [up, skip]
};

/// What conditions the network beside the noise level. Undefined tensors: none.
struct Condition {
  at::Tensor labels;  // [B] int64, 0..classes (classes: the null label); undefined for unconditional models
  at::Tensor augment_labels;  // [B, augment_labels] float32; undefined means all zero
};

class ImageDiffiT {
 public:
  explicit ImageDiffiT(const ImageConfig& config);

  const ImageConfig& config() const { return config_; }
  /// In the reference's order and with its names. The tensors are shared with the model.
  const ParameterList& parameters() const { return parameters_; }

  /// x [B, R, R, in_channels], c_noise [B] float32 -> [B, R, R, in_channels] of the compute dtype.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& c_noise, const Condition& condition) const;

  /// Recompute each ResBlock's activations in the backward pass instead of keeping them.
  void set_checkpointing(bool on) { checkpointing_ = on; }

 private:
  at::Tensor run(const ResBlock& block, const at::Tensor& x, const at::Tensor& time) const;

  ImageConfig config_;
  Conv2d tokenizer_;
  TimeEmbedder t_embedder_;
  LabelEmbedder y_embedder_;
  Linear augment_embedder_;
  std::vector<Stage> encoder_, decoder_;  // decoder_[i] works at encoder_[i]'s size
  at::Tensor head_norm_weight_, head_norm_bias_;
  Conv2d head_conv_;
  std::int64_t head_groups_ = 1;
  bool checkpointing_ = false;
  ParameterList parameters_;
};

}  // namespace diffit
