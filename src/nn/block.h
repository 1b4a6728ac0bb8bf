// The transformer block of DiffiT, on maps: time-dependent self-attention and an MLP.
#pragma once

#include "nn/time_paths.h"
#include "nn/windows.h"

namespace diffit {

/// [N, N] int64, N = w * w: which row of the bias table query i and key j take.
at::Tensor relative_position_index(std::int64_t w);

/// LayerNorm's epsilon, as released.
inline constexpr double kLayerNormEps = 1e-6;

/// Time-dependent multihead self-attention (DiffiT eq. 3 to 6), and attention with time elsewhere or nowhere.
/// The time token is one vector per sample, so its projection is one 3C vector per sample, never a
/// token-sized tensor.
struct Tmsa {
  Linear qkv_temb;            // tmsa: [3C]; undefined where time does not enter q, k and v
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
  /// What it is computed from: q, k, v with time in them, and the bias.
  AttentionParts parts(const at::Tensor& x, const at::Tensor& time) const;
  /// With relative_position_index [N, N] int64: in files only, the kernels compute it. Layers of one window
  /// in a list share theirs.
  void add_to(ParameterList& list, const std::string& prefix, Start proj_start = Start::xavier_uniform) const;
};

/// fc2(gelu(fc1(x))), tanh GELU; with time inside, fc2(gelu(fc1(x) + temb(time))).
struct Mlp {
  Linear fc1, fc2;
  Linear temb;  // undefined unless TimePath::mlp

  Mlp() = default;
  Mlp(std::int64_t width, double ratio);
  Mlp(std::int64_t width, double ratio, std::int64_t time_width);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// x += TMSA(LN(x), time); x += MLP(LN(x)) (DiffiT eq. 7 and 8); LayerNorm eps 1e-6 without affine, as
/// released. Other paths of time: nn/variant.h.
struct Block {
  Tmsa attn;
  Mlp mlp;
  AdaptiveLayerNorm adaln;  // adaln, adaln_zero
  CrossAttention cross;     // cross_attention

  Block() = default;
  Block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
        double mlp_ratio, TimePath path = TimePath::tmsa);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// What attention sees of the block's input: LN(x), with AdaLN modulated.
  at::Tensor attention_input(const at::Tensor& x, const at::Tensor& time) const;
  /// What the block's attention is computed from.
  AttentionParts attention_parts(const at::Tensor& x, const at::Tensor& time) const {
    return attn.parts(attention_input(x, time), time);
  }
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Sinusoidal features of t or c_noise: [B] -> [B, 256], cos then sin, periods 2 pi to 2 pi * 10000.
at::Tensor timestep_features(const at::Tensor& t);

/// features -> Linear -> SiLU -> Linear: [B] -> [B, width].
struct TimeEmbedder {
  Linear first, second;    // mlp.0, mlp.2
  at::Tensor frequencies;  // [128] of Fourier features; undefined: timestep_features

  TimeEmbedder() = default;
  explicit TimeEmbedder(std::int64_t width, TimeFeatures features = TimeFeatures::positional);
  at::Tensor operator()(const at::Tensor& t) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// A table of classes + 1 rows; the last is the null label of classifier-free guidance.
struct LabelEmbedder {
  at::Tensor table;  // [classes + 1, width]

  LabelEmbedder() = default;
  LabelEmbedder(std::int64_t classes, std::int64_t width);
  /// y [B] int64 in 0..classes -> [B, width]. The caller has checked the range.
  at::Tensor operator()(const at::Tensor& y) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit
