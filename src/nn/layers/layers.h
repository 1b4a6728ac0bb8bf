// The basic layers: linear, group normalization and convolution.
#pragma once

#include "nn/layers/parameter_list.h"

namespace diffit::nn {

/// Epsilon of LayerNorm in the released code.
inline constexpr double kLayerNormEps = 1e-6;
inline constexpr double kGroupNormEps = 1e-5;

/// Number of groups of a GroupNorm over `width` channels.
std::int64_t groups_of(std::int64_t width);

/// y = x W^T + b.
struct Linear {
  at::Tensor weight, bias;  // [out, in], [out] or undefined

  Linear() = default;
  Linear(std::int64_t in, std::int64_t out, bool with_bias = true);
  /// x [..., in] -> [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix,
              Initializer initializer = Initializer::xavier_uniform) const;
};

/// Group normalization of a map [B, H, W, width] with affine parameters.
struct GroupNorm {
  at::Tensor weight, bias;  // [width]
  std::int64_t groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  GroupNorm(std::int64_t width, std::int64_t groups, double eps);
  /// Applies the normalization, followed by SiLU if `silu`. Keeps the shape.
  at::Tensor operator()(const at::Tensor& x, bool silu) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// k x k convolution of a map [B, H, W, in] with padding k / 2. The weight is stored channels-last.
struct Conv2d {
  at::Tensor weight, bias;  // [out, in, k, k], [out]
  std::int64_t stride = 1;

  Conv2d() = default;
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1);
  /// x [B, H, W, in] -> [B, H / stride, W / stride, out], rounded up.
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix,
              Initializer initializer = Initializer::xavier_uniform) const;
};

}  // namespace diffit::nn
