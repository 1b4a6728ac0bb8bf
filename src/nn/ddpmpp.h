// DDPM++ (Song et al. 2021, "Score-based generative modeling through stochastic differential equations",
// appendix H, as EDM trains it): the U-Net that DiffiT's authors put TMSA into. Time and label embeddings are
// DiffiT's.
#pragma once

#include <vector>

#include "nn/config.h"
#include "nn/dropout.h"
#include "nn/image_parts.h"
#include "nn/observer.h"

namespace diffit {

/// proj(softmax(q k^T / sqrt(d)) v) of a whole map, (q, k, v) = GN(x) W; or TMSA in its place.
struct UnetAttention {
  GroupNorm norm;
  Linear qkv, proj;  // undefined with TMSA
  Tmsa tmsa;
  std::int64_t heads = 1, side = 1;

  UnetAttention() = default;
  UnetAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t side,
                TimePath path);
  bool defined() const { return norm.weight.defined(); }
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// What it is computed from.
  AttentionParts parts(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// One block of the U, in the order in which they run.
struct UnetPart {
  enum class Resample { none, halve, twice };

  std::string name;  // "encoder.0.blocks.1", "encoder.1.down", "middle.0", "decoder.0.up"
  std::int64_t stage = 0, in = 0, out = 0;
  Resample resample = Resample::none;
  bool attends = false;
  bool decoder = false;
  bool joins = false;  // takes the newest skip beside the map; `in` is both
};
/// Skips are the tokenizer's output and that of each block of the encoder.
std::vector<UnetPart> ddpmpp_parts(const ImageConfig& config);

/// h = conv0(SiLU(GN(x))) + x_t W; h = conv1(dropout(SiLU(GN(h)))); y = (skip(x) + h) / sqrt 2; where there
/// is attention, y = (attention(y) + y) / sqrt 2. A block that halves or doubles does so before conv0 and
/// skip.
struct UnetBlock {
  GroupNorm norm0, norm1;
  Conv2d conv0, conv1, skip;  // skip is undefined where it is the identity
  Linear temb;
  UnetAttention attention;
  UnetPart::Resample resample = UnetPart::Resample::none;

  UnetBlock(const UnetPart& part, const ImageConfig& config);
  /// x [B, H, W, in], time [B, time_width] -> [B, H', W', out].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
    return attended(convolved(x, time, dropout), time);
  }
  /// y without attention, and with it where there is any.
  at::Tensor convolved(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const;
  at::Tensor attended(const at::Tensor& y, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// The whole U: each block's output is a skip of its own to the decoder.
class DdpmPlusPlus {
 public:
  explicit DdpmPlusPlus(const ImageConfig& config);

  /// x [B, R, R, in_channels], time [B, time_width] -> [B, R, R, in_channels]. Block i drops at place i. With
  /// `checkpointing` the blocks' activations are computed again in the backward pass. `observer`: of layers
  /// of attention, or {}.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout,
                        bool checkpointing, const AttentionObserver& observer) const;
  void add_to(ParameterList& list) const;

 private:
  std::vector<UnetPart> parts_;
  std::vector<UnetBlock> blocks_;  // of each part
  Conv2d tokenizer_;
  GroupNorm head_norm_;
  Conv2d head_conv_;
};

}  // namespace diffit
