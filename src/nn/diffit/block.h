// DiffiT transformer block on feature maps: time-dependent self-attention and an MLP.
#pragma once

#include <memory>
#include <string>

#include "nn/diffit/time_conditioning.h"
#include "nn/diffit/windows.h"
#include "nn/layers/layers.h"

namespace diffit::nn {

/// Layers of multihead self-attention inside windows with a relative position bias, without those of time.
struct WindowAttention {
  Linear qkv, proj;
  at::Tensor table;  // relative_position_bias_table [(2w-1)^2, heads]
  std::int64_t heads = 1, window = 1;
};

/// Time-dependent multihead self-attention (DiffiT eq. 3 to 6). In other variants, time enters elsewhere or
/// not at all. The time token is one vector per sample, so its projection is one vector of 3C numbers per
/// sample and never a tensor of the size of the token map.
struct Tmsa : WindowAttention {
  std::shared_ptr<const TimeConditioning> conditioning;

  explicit Tmsa(const BlockShape& shape, TimePath path = TimePath::tmsa);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// Returns the inputs of attention: q, k and v, including the contribution of time, and the bias.
  AttentionParts parts(const at::Tensor& x, const at::Tensor& time) const;
  /// Also lists relative_position_index [N, N] int64, which is only written to files; the kernels compute the
  /// index themselves. Layers with the same window share one index tensor in a list.
  void add_to(ParameterList& list, const std::string& prefix,
              Initializer proj_initializer = Initializer::xavier_uniform) const;
};

/// fc2(gelu(h)) with the tanh approximation of GELU and h = fc1(x), to which a variant can add time.
/// Maps [B, H, W, C] to the same shape.
struct Mlp {
  Linear fc1, fc2;
  std::shared_ptr<const TimeConditioning> conditioning;

  Mlp(const BlockShape& shape, std::shared_ptr<const TimeConditioning> conditioning);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// x += TMSA(LN(x), time); x += MLP(LN(x)) (DiffiT eq. 7 and 8). LayerNorm uses eps 1e-6 and no affine
/// parameters, as in the released code. The variant of time conditioning decides where time enters
/// (nn/diffit/time/).
struct Block {
  Tmsa attn;
  Mlp mlp;

  explicit Block(const BlockShape& shape, TimePath path = TimePath::tmsa);
  const TimeConditioning& conditioning() const { return *attn.conditioning; }
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const {
    return conditioning().transform(*this, x, time);
  }
  /// Returns the inputs of the block's attention for the block's input x (see Tmsa::parts).
  AttentionParts attention_parts(const at::Tensor& x, const at::Tensor& time) const {
    return attn.parts(conditioning().attention_input(x, time), time);
  }
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Describe the attention of a block including its output projection, and a block, in the order of their
/// parameters.
void describe_attention(const BlockShape& shape, TimePath path, const std::string& prefix,
                        Structure& structure);
void describe_block(const BlockShape& shape, TimePath path, const std::string& prefix, Structure& structure);
/// Describes the layers that a variant adds at a site, with `prefix` before their names.
void describe_time(const BlockShape& shape, TimePath path, TimeSite site, const std::string& prefix,
                   Structure& structure);

}  // namespace diffit::nn
