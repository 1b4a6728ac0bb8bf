// Counts the cost of single layers; used by cost.cpp and vae_cost.cpp.
#pragma once

#include "nn/cost/cost.h"

namespace diffit::nn {

/// Adds layers to a part. `tokens` is the number of times that a layer's weight is used for one image.
struct LayerCounter {
  PartCost cost;

  void linear(std::int64_t in, std::int64_t out, double tokens, bool bias = true) {
    cost.parameters += in * out + (bias ? out : 0);
    cost.layer_macs += static_cast<double>(in * out) * tokens;
    cost.activations += static_cast<double>(out) * tokens;
  }
  void convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, double pixels) {
    cost.parameters += in * out * kernel * kernel + out;
    cost.layer_macs += static_cast<double>(in * out * kernel * kernel) * pixels;
    cost.activations += static_cast<double>(out) * pixels;
  }
  void norm(std::int64_t width, double pixels) {
    cost.parameters += 2 * width;
    cost.activations += static_cast<double>(width) * pixels;
  }
  /// A weight that is added to or multiplied with every number of a map.
  void elementwise(std::int64_t width, double tokens) {
    cost.activations += static_cast<double>(width) * tokens;
  }
  void attention(std::int64_t width, double queries, double keys) {
    cost.attention_macs += 2.0 * static_cast<double>(width) * queries * keys;
  }
};

}  // namespace diffit::nn
