// DiffiT transformer block on feature maps: time-dependent self-attention and an MLP.
#pragma once

#include "nn/diffit/time_paths.h"
#include "nn/diffit/windows.h"

namespace diffit::nn {

/// Returns an index [N, N] int64 with N = w * w: entry (i, j) is the row of the relative position bias table
/// used for query i and key j.
at::Tensor relative_position_index(std::int64_t w);

/// Epsilon of LayerNorm in the released code.
inline constexpr double kLayerNormEps = 1e-6;

/// Time-dependent multihead self-attention (DiffiT eq. 3 to 6). Depending on `path`, time can also enter
/// elsewhere or not at all (nn/diffit/variant.h). The time token is one vector per sample, so its projection
/// is one vector of 3C numbers per sample and never a tensor of the size of the token map.
struct Tmsa {
  Linear qkv_temb;            // tmsa: [3C]; undefined if time does not enter q, k and v
  Linear bias_temb, kv_temb;  // position_bias: [(2w-1)^2 * heads]; tokens: [2C], key and value
  Linear qkv, proj;
  at::Tensor table;  // relative_position_bias_table [(2w-1)^2, heads]
  std::int64_t heads = 1, window = 1;
  TimePath path = TimePath::tmsa;

  Tmsa() = default;
  Tmsa(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
       TimePath path = TimePath::tmsa);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// Returns the inputs of attention: q, k and v, including the contribution of time, and the bias.
  AttentionParts parts(const at::Tensor& x, const at::Tensor& time) const;
  /// Also lists relative_position_index [N, N] int64, which is only written to files; the kernels compute the
  /// index themselves. Layers with the same window share one index tensor in a list.
  void add_to(ParameterList& list, const std::string& prefix,
              Initializer proj_initializer = Initializer::xavier_uniform) const;
};

/// fc2(gelu(fc1(x))) with the tanh approximation of GELU; for TimePath::mlp, fc2(gelu(fc1(x) + temb(time))).
/// Maps [B, H, W, C] to the same shape.
struct Mlp {
  Linear fc1, fc2;
  Linear temb;  // undefined unless TimePath::mlp

  Mlp() = default;
  Mlp(std::int64_t width, double ratio);
  Mlp(std::int64_t width, double ratio, std::int64_t time_width);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// x += TMSA(LN(x), time); x += MLP(LN(x)) (DiffiT eq. 7 and 8). LayerNorm uses eps 1e-6 and no affine
/// parameters, as in the released code. See nn/diffit/variant.h for the other time paths.
struct Block {
  Tmsa attn;
  Mlp mlp;
  AdaptiveLayerNorm adaln;  // adaln, adaln_zero
  CrossAttention cross;     // cross_attention

  Block() = default;
  Block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
        double mlp_ratio, TimePath path = TimePath::tmsa);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// Returns the input of attention: LN(x), modulated if the block uses AdaLN.
  at::Tensor attention_input(const at::Tensor& x, const at::Tensor& time) const;
  /// Returns the inputs of the block's attention (see Tmsa::parts).
  AttentionParts attention_parts(const at::Tensor& x, const at::Tensor& time) const {
    return attn.parts(attention_input(x, time), time);
  }
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Sinusoidal features of a timestep or of c_noise: [B] -> [B, 256] float32, cosines then sines, with periods
/// from 2 pi to 2 pi * 10000.
at::Tensor timestep_features(const at::Tensor& t);

/// Linear -> SiLU -> Linear on the features of t: [B] -> [B, width].
struct TimeEmbedder {
  Linear first, second;    // mlp.0, mlp.2
  at::Tensor frequencies;  // [128] frequencies of Fourier features; undefined: timestep_features is used

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
