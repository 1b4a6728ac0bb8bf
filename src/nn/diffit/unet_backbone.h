// The U-Net of DiffiT (figure 4): encoder stages that halve the feature map, decoder stages that double it.
#pragma once

#include <optional>
#include <vector>

#include "nn/diffit/backbone.h"
#include "nn/diffit/image_parts.h"

namespace diffit::nn {

/// An encoder of stages, followed by a decoder of stages with skips or by multi-level aggregation. The blocks
/// of encoder and decoder are DiffiT's or plain.
class UnetBackbone : public Backbone {
 public:
  explicit UnetBackbone(const ImageConfig& config);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time,
                        const RunOptions& options) const override;
  void add_input_to(ParameterList& list) const override;
  void add_to(ParameterList& list) const override;

 private:
  std::int64_t resolution_;
  Conv2d tokenizer_;
  std::vector<Stage> encoder_, decoder_;  // decoder_[i] has the resolution of encoder_[i]
  std::optional<MlaDecoder> mla_;         // instead of decoder_
  Head head_;
};

}  // namespace diffit::nn
