// Embeddings of the noise level and of the label, whose sum is the time token.
#pragma once

#include <optional>
#include <string>

#include "nn/diffit/variant.h"
#include "nn/layers/layers.h"

namespace diffit::nn {

/// Sinusoidal features of a timestep or of c_noise: [B] -> [B, 256] float32, cosines then sines, with periods
/// from 2 pi to 2 pi * 10000.
at::Tensor timestep_features(const at::Tensor& t);

/// Linear -> SiLU -> Linear on the features of t: [B] -> [B, width].
struct TimeEmbedder {
  Linear first, second;                   // mlp.0, mlp.2
  std::optional<at::Tensor> frequencies;  // [128], of Fourier features; empty: timestep_features

  TimeEmbedder() = default;
  explicit TimeEmbedder(std::int64_t width, TimeFeatures features = TimeFeatures::positional);
  /// t [B] -> [B, width].
  at::Tensor operator()(const at::Tensor& t) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Embedding table with classes + 1 rows. The last row is the null label for classifier-free guidance.
struct LabelEmbedder {
  at::Tensor table;  // [classes + 1, width]

  LabelEmbedder() = default;
  LabelEmbedder(std::int64_t classes, std::int64_t width);
  /// y [B] int64 in 0..classes -> [B, width]. The range is not checked here.
  at::Tensor operator()(const at::Tensor& y) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit::nn
