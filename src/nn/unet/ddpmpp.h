// DDPM++ (Song et al. 2021, "Score-based generative modeling through stochastic differential equations",
// appendix H, in the version trained by EDM): the U-Net into which the authors of DiffiT put TMSA. The time
// and label embeddings are DiffiT's.
#pragma once

#include <vector>

#include "nn/diffit/config.h"
#include "nn/diffit/image_parts.h"
#include "nn/layers/dropout.h"
#include "nn/layers/observer.h"

namespace diffit::nn {

/// proj(softmax(q k^T / sqrt(d)) v) over a whole feature map, with (q, k, v) = GN(x) W. With TimePath::tmsa,
/// TMSA takes its place.
struct UnetAttention {
  GroupNorm norm;
  Linear qkv, proj;  // undefined if TMSA is used
  Tmsa tmsa;
  std::int64_t heads = 1, side = 1;

  UnetAttention() = default;
  /// `side`: side of the map, which is one attention window.
  UnetAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t side,
                TimePath path);
  /// Whether the block has attention.
  bool defined() const { return norm.weight.defined(); }
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// Returns the inputs of attention (see Tmsa::parts).
  AttentionParts parts(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Description of one block of the U-Net.
struct UnetPart {
  enum class Resample { none, halve, twice };

  std::string name;  // "encoder.0.blocks.1", "encoder.1.down", "middle.0", "decoder.0.up"
  std::int64_t stage = 0, in = 0, out = 0;  // `in` and `out`: channels
  Resample resample = Resample::none;
  bool attends = false;
  bool decoder = false;
  bool joins = false;  // concatenates the most recent skip to its input; `in` counts both
};
/// Returns the blocks in order of execution. The skips are the output of the tokenizer and the output of each
/// encoder block.
std::vector<UnetPart> ddpmpp_parts(const ImageConfig& config);

/// h = conv0(SiLU(GN(x))) + x_t W; h = conv1(dropout(SiLU(GN(h)))); y = (skip(x) + h) / sqrt 2; if the block
/// has attention, y = (attention(y) + y) / sqrt 2. A block that changes the resolution does so before conv0
/// and skip.
struct UnetBlock {
  GroupNorm norm0, norm1;
  Conv2d conv0, conv1, skip;  // skip is undefined if it is the identity
  Linear temb;
  UnetAttention attention;
  UnetPart::Resample resample = UnetPart::Resample::none;

  UnetBlock(const UnetPart& part, const ImageConfig& config);
  /// x [B, H, W, in], time [B, time_width] -> [B, H', W', out].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
    return attended(convolved(x, time, dropout), time);
  }
  /// `convolved` returns y before attention; `attended` applies attention if the block has it.
  at::Tensor convolved(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const;
  at::Tensor attended(const at::Tensor& y, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// The whole U-Net. The output of each encoder block is a separate skip to the decoder.
class DdpmPlusPlus {
 public:
  explicit DdpmPlusPlus(const ImageConfig& config);

  /// x [B, R, R, in_channels], time [B, time_width] -> [B, R, R, in_channels]. Block i uses dropout place i.
  /// With `checkpointing`, the activations of the blocks are recomputed in the backward pass. `observer` is
  /// called for each attention layer; {} means none.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout,
                        bool checkpointing, const AttentionObserver& observer) const;
  void add_to(ParameterList& list) const;

 private:
  std::vector<UnetPart> parts_;
  std::vector<UnetBlock> blocks_;  // one for each part
  Conv2d tokenizer_;
  GroupNorm head_norm_;
  Conv2d head_conv_;
};

}  // namespace diffit::nn
