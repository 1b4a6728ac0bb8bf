// Time paths of a block other than TMSA (nn/diffit/variant.h lists them).
#pragma once

#include "nn/diffit/variant.h"
#include "nn/layers/layers.h"

namespace diffit::nn {

/// Broadcasts x_t [B, C] to every pixel of a map of x's size: [B, H, W, C].
at::Tensor at_every_pixel(const at::Tensor& time, const at::Tensor& x);
/// Returns x (1 + scale) + shift for x [B, H, W, C] and scale and shift [B, C].
at::Tensor scale_and_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift);

/// Modulation of one branch of a block by AdaLN. `gate` is undefined unless "zero" is set.
struct Modulation {
  at::Tensor shift, scale, gate;  // [B, C]

  /// Returns the LayerNorm of x, scaled and shifted.
  at::Tensor normalised(const at::Tensor& x) const;
  /// Returns branch * gate, or the branch itself without a gate.
  at::Tensor gated(const at::Tensor& branch) const;
};

/// Computes SiLU(x_t) W: shift and scale of both branches and, with "zero", a gate for each, in which case W
/// starts at zero.
struct AdaptiveLayerNorm {
  Linear modulation;  // shift, scale (, gate) for attention, then for the MLP
  bool zero = false;

  AdaptiveLayerNorm() = default;
  AdaptiveLayerNorm(std::int64_t width, std::int64_t time_width, bool zero);
  /// time [B, time_width] -> modulation of attention, modulation of the MLP.
  std::pair<Modulation, Modulation> operator()(const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Attention from each pixel to kTimeTokens tokens computed from the time token.
struct CrossAttention {
  Linear q, kv_temb, proj;  // kv_temb: keys of all tokens, then values
  std::int64_t heads = 1;

  CrossAttention() = default;
  CrossAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit::nn
