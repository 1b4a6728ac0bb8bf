// What the autoencoder is built of, on maps [B, H, W, C]. Rombach et al. 2022, appendix F; names as in
// diffusers.
#pragma once

#include "nn/parameters.h"

namespace diffit {

inline constexpr double kVaeNormEps = 1e-6;

/// shortcut(x) + conv2(SiLU(norm2(conv1(SiLU(norm1(x)))))); the shortcut is a 1x1 convolution where the width
/// changes, else x itself.
struct VaeResBlock {
  GroupNorm norm1, norm2;
  Conv2d conv1, conv2, conv_shortcut;

  VaeResBlock() = default;
  VaeResBlock(std::int64_t in, std::int64_t out, std::int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
  at::Tensor shortcut(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// x + to_out(softmax(q k^T / sqrt(C)) v) of q, k, v = to_q, to_k, to_v(norm(x)): one head over all H W
/// tokens. Takes O(H W C) memory where LibTorch has fused attention (the CPU has).
struct VaeAttention {
  GroupNorm group_norm;
  Linear to_q, to_k, to_v, to_out;

  VaeAttention() = default;
  VaeAttention(std::int64_t width, std::int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Residual block, attention, residual block, at the lowest resolution.
struct VaeMidBlock {
  VaeResBlock first, second;
  VaeAttention attention;

  VaeMidBlock() = default;
  VaeMidBlock(std::int64_t width, std::int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Halves a map of even sides: 3x3 convolution of stride 2, padded by one on the right and at the bottom
/// alone.
at::Tensor halved(const Conv2d& conv, const at::Tensor& x);
/// Doubles a map: nearest neighbour, then a 3x3 convolution.
at::Tensor doubled(const Conv2d& conv, const at::Tensor& x);

}  // namespace diffit
