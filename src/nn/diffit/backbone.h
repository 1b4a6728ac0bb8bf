// Interface of the networks between the embedders and the output: U-Net, ViT and DDPM++.
#pragma once

#include <functional>
#include <memory>

#include "nn/diffit/config.h"
#include "nn/layers/dropout.h"
#include "nn/layers/observer.h"
#include "nn/layers/parameter_list.h"
#include "nn/layers/structure.h"

namespace diffit::nn {

/// Options of a forward pass.
struct RunOptions {
  Dropout dropout;
  bool checkpointing = false;         // recompute the activations of blocks in the backward pass
  const AttentionObserver& observer;  // called for each attention layer; empty: none
};

/// A network that maps images and time tokens to images: F of EDM preconditioning without its embedders.
class Backbone {
 public:
  virtual ~Backbone() = default;
  /// x [B, R, R, in_channels], time [B, time_width] -> [B, R, R, in_channels] in the compute dtype.
  virtual at::Tensor operator()(const at::Tensor& x, const at::Tensor& time,
                                const RunOptions& options) const = 0;
  /// Adds the parameters that are listed before those of the embedders.
  virtual void add_input_to(ParameterList& /*list*/) const {}
  /// Adds all other parameters.
  virtual void add_to(ParameterList& list) const = 0;
};

/// Creates the backbone that the configuration selects. Parameters are uninitialized.
std::unique_ptr<Backbone> make_backbone(const ImageConfig& config);

/// Describe the backbones. `embedders` is called where the embedders come in the order of the parameters, to
/// describe them.
using DescribeEmbedders = std::function<void(Structure&)>;
void describe_unet(const ImageConfig& config, const DescribeEmbedders& embedders, Structure& structure);
void describe_vit(const ImageConfig& config, const DescribeEmbedders& embedders, Structure& structure);
void describe_ddpmpp(const ImageConfig& config, const DescribeEmbedders& embedders, Structure& structure);

}  // namespace diffit::nn
