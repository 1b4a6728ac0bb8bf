// A classifier of small pictures, for the features that it learns (FashionNet).
#pragma once

#include <vector>

#include "nn/classifier_config.h"
#include "nn/vae_layers.h"

namespace diffit {

/// One resolution: down from the stage before (none in the first), then residual blocks.
struct ClassifierStage {
  Conv2d down;
  std::vector<VaeResBlock> blocks;
};

struct Classified {
  at::Tensor features;  // [B, D]
  at::Tensor logits;    // [B, K]: features times a weight, no bias
};

/// Pre-activation residual network (He et al. 2016) with GroupNorm and SiLU: a 3x3 convolution of stride 2;
/// stages, each but the first entered by another; features are the mean over the last map.
class Classifier {
 public:
  explicit Classifier(const ClassifierConfig& config);

  const ClassifierConfig& config() const { return config_; }
  /// The tensors are shared with the network.
  const ParameterList& parameters() const { return parameters_; }

  /// pictures [B, R, R, C] in [-1, 1]. Differentiable.
  Classified operator()(const at::Tensor& pictures) const;

 private:
  ClassifierConfig config_;
  Conv2d stem_;
  std::vector<ClassifierStage> stages_;
  GroupNorm norm_;
  Linear fc_;
  ParameterList parameters_;
};

}  // namespace diffit
