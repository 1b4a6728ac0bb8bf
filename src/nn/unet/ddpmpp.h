// DDPM++ (Song et al. 2021, "Score-based generative modeling through stochastic differential equations",
// appendix H, in the version trained by EDM): the U-Net into which the authors of DiffiT put TMSA. The time
// and label embeddings are DiffiT's.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "nn/diffit/backbone.h"
#include "nn/diffit/block.h"
#include "nn/layers/dropout.h"
#include "nn/unet/parts.h"

namespace diffit::nn {

/// proj(softmax(q k^T / sqrt(d)) v) over a whole feature map, with (q, k, v) = GN(x) W. With TimePath::tmsa,
/// TMSA takes its place.
struct UnetAttention {
  /// DDPM++'s own attention, which has neither time nor a position bias.
  struct Plain {
    Linear qkv, proj;
  };
  GroupNorm norm;
  std::variant<Plain, Tmsa> kind;
  std::int64_t heads = 1, side = 1;

  /// `side`: side of the map, which is one attention window.
  UnetAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t side,
                TimePath path);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time) const;
  /// Returns the inputs of attention (see Tmsa::parts).
  AttentionParts parts(const at::Tensor& x, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// h = conv0(SiLU(GN(x))) + x_t W; h = conv1(dropout(SiLU(GN(h)))); y = (skip(x) + h) / sqrt 2; if the block
/// has attention, y = (attention(y) + y) / sqrt 2. A block that changes the resolution does so before conv0
/// and skip.
struct UnetBlock {
  GroupNorm norm0, norm1;
  Conv2d conv0, conv1;
  std::optional<Conv2d> skip;  // none: the identity
  Linear temb;
  std::optional<UnetAttention> attention;
  UnetPart::Resample resample = UnetPart::Resample::none;

  UnetBlock(const UnetPart& part, const ImageConfig& config);
  /// x [B, H, W, in], time [B, time_width] -> [B, H', W', out].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
    return attend(convolve(x, time, dropout), time);
  }
  /// `convolved` returns y before attention; `attended` applies attention if the block has it.
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const;
  at::Tensor attend(const at::Tensor& y, const at::Tensor& time) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// The whole U-Net. The output of each encoder block is a separate skip to the decoder. Block i uses dropout
/// place i.
class DdpmPlusPlus : public Backbone {
 public:
  explicit DdpmPlusPlus(const ImageConfig& config);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time,
                        const RunOptions& options) const override;
  void add_to(ParameterList& list) const override;

 private:
  std::vector<UnetPart> parts_;
  std::vector<UnetBlock> blocks_;  // one for each part
  Conv2d tokenizer_;
  GroupNorm head_norm_;
  Conv2d head_conv_;
};

}  // namespace diffit::nn
