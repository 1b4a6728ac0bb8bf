// Classifier of small images. Its learned features serve as an evaluation network (FashionNet).
#pragma once

#include <optional>
#include <vector>

#include "nn/features/classifier_config.h"
#include "nn/vae/vae_layers.h"

namespace diffit::nn {

/// Layers of one resolution: a downsampling convolution (none in the first stage), then residual blocks.
struct ClassifierStage {
  std::optional<Conv2d> down;
  std::vector<VaeResBlock> blocks;
};

/// Output of the classifier.
struct Classified {
  at::Tensor features;  // [B, D]
  at::Tensor logits;    // [B, K]: features times a weight, no bias
};

/// Pre-activation residual network (He et al. 2016) with GroupNorm and SiLU: a 3x3 convolution of stride 2,
/// then stages, each of which except the first starts with another such convolution. The features are the
/// mean over the last feature map.
class Classifier {
 public:
  explicit Classifier(const ClassifierConfig& config);

  const ClassifierConfig& config() const { return config_; }
  /// Parameters in the order in which they are stored. The tensors share storage with the network.
  const ParameterList& parameters() const { return parameters_; }

  /// Maps images [B, R, R, C] in [-1, 1] to features and logits, both in float32 or wider. Differentiable.
  /// Throws Error(invalid) for any other shape.
  Classified operator()(const at::Tensor& images) const;

 private:
  ClassifierConfig config_;
  Conv2d stem_;
  std::vector<ClassifierStage> stages_;
  GroupNorm norm_;
  Linear fc_;
  ParameterList parameters_;
};

}  // namespace diffit::nn
