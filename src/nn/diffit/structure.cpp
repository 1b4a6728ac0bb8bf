#include "nn/diffit/structure.h"

#include <fmt/format.h>

#include "nn/diffit/backbone.h"
#include "nn/diffit/latent_model.h"

namespace diffit::nn {

namespace {

void describe_time_embedder(std::int64_t width, Structure& s) {
  s.linear("t_embedder.mlp.0", 256, width, 1);
  s.linear("t_embedder.mlp.2", width, width, 1);
}

void describe_label_embedder(std::int64_t classes, std::int64_t width, Structure& s) {
  s.table("y_embedder.embedding_table.weight", (classes + 1) * width);
}

Structure describe_image(const ImageConfig& c) {
  Structure structure;
  const auto embedders = [&c](Structure& s) {
    if (c.time == TimePath::none) return;
    s.part("time and label");
    if (c.time_embedding == TimeFeatures::fourier) s.table("t_embedder.frequencies", 128);
    describe_time_embedder(c.time_width(), s);
    if (c.classes > 0) describe_label_embedder(c.classes, c.time_width(), s);
    if (c.augment_labels > 0)
      s.linear("augment_embedder", c.augment_labels, c.time_width(), 1, /*bias=*/false);
  };
  const auto backbone = c.is_ddpmpp()               ? describe_ddpmpp
                        : c.encoder == Encoder::vit ? describe_vit
                                                    : describe_unet;
  backbone(c, embedders, structure);
  return structure;
}

Structure describe_latent(const LatentConfig& c) {
  Structure s;
  const BlockShape shape = latent_block_shape(c);
  s.part("embedders");
  s.table("pos_embed", c.grid() * c.grid() * c.hidden);
  s.linear("x_embedder.proj", c.in_channels * c.patch * c.patch, c.hidden, shape.pixels);
  describe_time_embedder(c.hidden, s);
  describe_label_embedder(c.classes, c.hidden, s);
  s.part("blocks");
  for (std::int64_t i = 0; i < c.depth; ++i) {
    describe_block(shape, TimePath::tmsa, fmt::format("blocks.{}", i), s);
  }
  s.part("final_layer");
  s.linear("final_layer.linear", c.hidden, c.patch * c.patch * c.out_channels(), shape.pixels);
  return s;
}

}  // namespace

Structure describe(const ModelConfig& config) {
  if (const auto* image = std::get_if<ImageConfig>(&config)) return describe_image(*image);
  return describe_latent(std::get<LatentConfig>(config));
}

std::vector<PartCost> cost_of(const ModelConfig& config) {
  return cost_of(describe(config));
}

}  // namespace diffit::nn
