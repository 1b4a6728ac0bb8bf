// Looking into a network while it is evaluated.
#pragma once

#include <functional>
#include <string>

#include "nn/windows.h"

namespace diffit {

/// One layer's attention, before it runs.
struct ObservedAttention {
  std::string layer;        // "encoder.0.blocks.1", "blocks.5"
  std::int64_t window = 1;  // side of an attention window, in pixels of the layer's map
  at::Tensor time;          // the token that the layer is given, [B, time_width]
  /// What attention is computed from were it given another token with the same input.
  std::function<AttentionParts(const at::Tensor& time)> parts;
};

using AttentionObserver = std::function<void(const ObservedAttention&)>;

}  // namespace diffit
