// Image-space DiffiT (DiffiT section 3.2, figure 4): the network F(x, c_noise, y) of EDM preconditioning.
#pragma once

#include <memory>
#include <optional>

#include "nn/diffit/backbone.h"
#include "nn/diffit/config.h"
#include "nn/diffit/embedders.h"

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
  /// Whether an observer is called, so that an evaluation must not be recorded (runtime/graph.h).
  bool observed() const { return static_cast<bool>(observer_); }
  /// Returns the time token for c_noise [B] and a condition: [B, time_width]. All zero for TimePath::none.
  at::Tensor time_token(const at::Tensor& c_noise, const Condition& condition) const;

  /// If on, each ResBlock's activations are recomputed in the backward pass instead of being kept.
  void set_checkpointing(bool on) { checkpointing_ = on; }

 private:
  ImageConfig config_;
  std::optional<TimeEmbedder> t_embedder_;   // none for TimePath::none
  std::optional<LabelEmbedder> y_embedder_;  // conditional models only
  std::optional<Linear> augment_embedder_;   // models with augmentation labels only
  std::unique_ptr<Backbone> backbone_;
  bool checkpointing_ = false;
  AttentionObserver observer_;
  ParameterList parameters_;
};

}  // namespace diffit::nn
