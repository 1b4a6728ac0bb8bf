// Inspection of a network during evaluation.
#pragma once

#include <functional>
#include <string>

#include "nn/diffit/windows.h"

namespace diffit::nn {

/// Attention of one layer, reported before it is evaluated.
struct ObservedAttention {
  std::string layer;        // "encoder.0.blocks.1", "blocks.5"
  std::int64_t window = 1;  // side of an attention window in pixels of the layer's map
  at::Tensor time;          // time token of the layer, [B, time_width]
  /// Returns the inputs of attention for the same input map and another time token [B, time_width].
  std::function<AttentionParts(const at::Tensor& time)> parts;
};

using AttentionObserver = std::function<void(const ObservedAttention&)>;

}  // namespace diffit::nn
