// Ways for the time token into a block beside TMSA's (nn/variant.h says what each computes).
#pragma once

#include "nn/parameters.h"
#include "nn/variant.h"

namespace diffit {

/// x_t [B, C] at every pixel of a map of x's size: [B, H, W, C].
at::Tensor at_every_pixel(const at::Tensor& time, const at::Tensor& x);
/// x (1 + scale) + shift, scale and shift [B, C].
at::Tensor scale_and_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift);

/// What AdaLN makes of the time token for one branch of a block; gate is undefined without "zero".
struct Modulation {
  at::Tensor shift, scale, gate;  // [B, C]

  /// LayerNorm of x, scaled and shifted.
  at::Tensor normalised(const at::Tensor& x) const;
  at::Tensor gated(const at::Tensor& branch) const;
};

/// SiLU(x_t) W: shift and scale of either branch, and a gate each with "zero", where W starts at zero.
struct AdaptiveLayerNorm {
  Linear modulation;  // of attention, then of the MLP: shift, scale (, gate)
  bool zero = false;

  AdaptiveLayerNorm() = default;
  AdaptiveLayerNorm(std::int64_t width, std::int64_t time_width, bool zero);
  /// That of attention, that of the MLP.
  std::pair<Modulation, Modulation> operator()(const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Attention of each pixel to kTimeTokens tokens of the time token.
struct CrossAttention {
  Linear q, kv_temb, proj;  // kv_temb: keys of all tokens, then values
  std::int64_t heads = 1;

  CrossAttention() = default;
  CrossAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads);
  /// x [B, H, W, C], time [B, T] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit
