// Configuration A of the paper: a ViT over patches, followed by multi-level aggregation.
#pragma once

#include "nn/diffit/backbone.h"
#include "nn/diffit/image_parts.h"

namespace diffit::nn {

/// Plain blocks of one width on the map of patches, which has the resolution of the last stage.
class VitBackbone : public Backbone {
 public:
  explicit VitBackbone(const ImageConfig& config);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time,
                        const RunOptions& options) const override;
  void add_input_to(ParameterList& list) const override;
  void add_to(ParameterList& list) const override;

 private:
  std::int64_t resolution_;
  PatchEmbedding patches_;
  Stage blocks_;
  MlaDecoder decoder_;
  Head head_;
};

}  // namespace diffit::nn
