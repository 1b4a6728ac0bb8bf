// Image-space DiffiT (DiffiT section 3.2, figure 4): the network F(x, c_noise, y) of EDM preconditioning.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/diffit/config.h"
#include "nn/diffit/image_parts.h"
#include "nn/layers/observer.h"
#include "nn/unet/ddpmpp.h"

namespace diffit::nn {

/// Conditioning of the network besides the noise level. Undefined tensors mean no condition.
struct Condition {
  at::Tensor labels = {};          // [B] int64 in 0..classes (the null label); undefined: unconditional
  at::Tensor augment_labels = {};  // [B, augment_labels] float32; undefined means all zero
  Dropout dropout = {};            // of the training images
};

/// Image-space model with any of the variants in nn/diffit/variant.h, including DDPM++. Parameters are
/// uninitialized until initialise() or load_parameters() is called. Not thread-safe.
class ImageDiffiT {
 public:
  explicit ImageDiffiT(const ImageConfig& config);

  const ImageConfig& config() const { return config_; }
  /// Parameters in the order and with the names of the reference. The tensors share storage with the model.
  const ParameterList& parameters() const { return parameters_; }

  /// x [B, R, R, in_channels], c_noise [B] float32 -> [B, R, R, in_channels] in the compute dtype.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& c_noise, const Condition& condition) const;

  /// Sets a callback that is run for every attention layer during forward, in order of evaluation. Pass {} to
  /// remove it.
  void observe(AttentionObserver observer) { observer_ = std::move(observer); }
  /// Returns the time token for c_noise [B] and a condition: [B, time_width]. All zero for TimePath::none.
  at::Tensor time_token(const at::Tensor& c_noise, const Condition& condition) const;

  /// If on, each ResBlock's activations are recomputed in the backward pass instead of being kept.
  void set_checkpointing(bool on) { checkpointing_ = on; }

 private:
  void make_encoder();
  void make_decoder();
  Stage make_stage(std::int64_t stage, std::int64_t blocks, const std::string& prefix, bool diffit) const;
  at::Tensor run(const Stage& stage, at::Tensor map, const at::Tensor& time, const Dropout& dropout) const;
  at::Tensor run(const Stage& stage, std::size_t block, const at::Tensor& x, const at::Tensor& time,
                 const Dropout& dropout) const;
  /// Returns one feature map per level for the decoder, from full resolution down.
  std::vector<at::Tensor> encode(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const;
  at::Tensor decode(const std::vector<at::Tensor>& levels, const at::Tensor& time,
                    const Dropout& dropout) const;
  void list_parameters();

  ImageConfig config_;
  TimePath path_;
  Encoder encoder_kind_;
  Decoder decoder_kind_;
  Conv2d tokenizer_;
  PatchEmbedding patches_;  // replaces the tokenizer in a ViT encoder
  TimeEmbedder t_embedder_;
  LabelEmbedder y_embedder_;
  Linear augment_embedder_;
  std::vector<Stage> encoder_, decoder_;  // decoder_[i] has the resolution of encoder_[i]
  MlaDecoder mla_;
  GroupNorm head_norm_;
  Conv2d head_conv_;
  std::optional<DdpmPlusPlus> ddpmpp_;  // replaces everything except the embedders
  bool checkpointing_ = false;
  AttentionObserver observer_;
  ParameterList parameters_;
};

}  // namespace diffit::nn
