// Building blocks of the autoencoder on maps [B, H, W, C]. Rombach et al. 2022, appendix F; names as in
// diffusers.
#pragma once

#include <optional>

#include "nn/layers/layers.h"

namespace diffit::nn {

inline constexpr double kVaeNormEps = 1e-6;

/// shortcut(x) + conv2(SiLU(norm2(conv1(SiLU(norm1(x)))))). The shortcut is a 1x1 convolution if the width
/// changes, otherwise x itself.
struct VaeResBlock {
  GroupNorm norm1, norm2;
  Conv2d conv1, conv2;
  std::optional<Conv2d> conv_shortcut;

  VaeResBlock() = default;
  VaeResBlock(std::int64_t in, std::int64_t out, std::int64_t groups);
  /// x [B, H, W, in] -> [B, H, W, out].
  at::Tensor operator()(const at::Tensor& x) const;
  at::Tensor shortcut(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// x + to_out(softmax(q k^T / sqrt(C)) v) with q, k, v = to_q, to_k, to_v(norm(x)): one head over all H W
/// tokens. Takes O(H W C) memory if LibTorch has fused attention for the device, as it has for the CPU.
struct VaeAttention {
  GroupNorm group_norm;
  Linear to_q, to_k, to_v, to_out;

  VaeAttention() = default;
  VaeAttention(std::int64_t width, std::int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Residual block, attention and residual block at the lowest resolution.
struct VaeMidBlock {
  VaeResBlock first, second;
  VaeAttention attention;

  VaeMidBlock() = default;
  VaeMidBlock(std::int64_t width, std::int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Downsamples a map with even sides by a 3x3 convolution of stride 2, padded by one row at the bottom and
/// one column on the right only: [B, H, W, in] -> [B, H / 2, W / 2, out].
at::Tensor downsample(const Conv2d& conv, const at::Tensor& x);
/// Upsamples a map by nearest neighbor, then applies a 3x3 convolution: [B, H, W, in] -> [B, 2H, 2W, out].
at::Tensor upsample(const Conv2d& conv, const at::Tensor& x);

}  // namespace diffit::nn
