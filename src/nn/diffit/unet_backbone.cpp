#include "nn/diffit/unet_backbone.h"

#include <fmt/format.h>

namespace diffit::nn {

UnetBackbone::UnetBackbone(const ImageConfig& c)
    : resolution_(c.resolution), tokenizer_(c.in_channels, c.channels.front(), 3), head_(c) {
  const std::int64_t last = c.stages() - 1;
  std::int64_t place = 0;
  const auto add = [&](std::vector<Stage>& side, const char* name, std::int64_t i, bool diffit) -> Stage& {
    Stage& stage = side.emplace_back(
        make_stage(c, i, c.depth[static_cast<std::size_t>(i)], fmt::format("{}.{}", name, i), diffit));
    stage.first_place = place;
    place += static_cast<std::int64_t>(stage.blocks.size());
    return stage;
  };
  for (std::int64_t i = 0; i <= last; ++i) {
    const auto s = static_cast<std::size_t>(i);
    Stage& stage = add(encoder_, "encoder", i, c.encoder == Encoder::diffit);
    if (i < last) stage.down = Down(c.channels[s], c.channels[s + 1], c.sampling);
  }
  if (c.decoder == Decoder::setr_mla) {
    mla_ = MlaDecoder(c.channels, c.channels.front(), /*patch=*/1);
    return;
  }
  for (std::int64_t i = 0; i < last; ++i) {
    const auto s = static_cast<std::size_t>(i);
    add(decoder_, "decoder", i, c.decoder == Decoder::diffit).join = Stage::Join{
        Up(c.channels[s + 1], c.channels[s], c.sampling), Conv2d(2 * c.channels[s], c.channels[s], 1)};
  }
}

at::Tensor UnetBackbone::operator()(const at::Tensor& x, const at::Tensor& time,
                                    const RunOptions& options) const {
  std::vector<at::Tensor> levels;  // one feature map for each stage, from full resolution down
  at::Tensor map = tokenizer_(x);
  for (const Stage& stage : encoder_) {
    map = stage.run(std::move(map), time, options);
    levels.push_back(map);
    if (stage.down) map = (*stage.down)(map);
  }
  if (mla_) return head_((*mla_)(levels, resolution_));
  for (std::size_t i = decoder_.size(); i-- > 0;) {
    const Stage& stage = decoder_[i];
    map = stage.run(stage.join->fuse(at::cat({stage.join->up(map), levels[i]}, -1)), time, options);
  }
  return head_(map);
}

void UnetBackbone::add_input_to(ParameterList& list) const {
  tokenizer_.add_to(list, "tokenizer");
}

void UnetBackbone::add_to(ParameterList& list) const {
  for (const Stage& stage : encoder_) stage.add_to(list);
  for (const Stage& stage : decoder_) stage.add_to(list);
  if (mla_) mla_->add_to(list, "decoder");
  head_.add_to(list);
}

void describe_unet(const ImageConfig& c, const DescribeEmbedders& embedders, Structure& s) {
  const std::int64_t last = c.stages() - 1;
  s.part("tokenizer");
  s.convolution("tokenizer", c.in_channels, c.channels.front(), 3, pixels_of(c, 0));
  embedders(s);
  for (std::int64_t i = 0; i <= last; ++i) {
    const auto n = static_cast<std::size_t>(i);
    const std::string stage = fmt::format("encoder.{}", i);
    s.part(stage);
    describe_blocks(c, i, c.depth[n], c.encoder == Encoder::diffit, stage, s);
    if (i < last) describe_down(c, i, stage + ".down", s);
  }
  if (c.decoder == Decoder::setr_mla) {
    s.part("decoder");
    describe_mla(c, /*patch=*/1, "decoder", s);
  } else {
    // Parts are listed from the lowest resolution up, parameters from full resolution down.
    for (std::int64_t i = last; i-- > 0;) s.part(fmt::format("decoder.{}", i));
    for (std::int64_t i = 0; i < last; ++i) {
      const auto n = static_cast<std::size_t>(i);
      const std::string stage = fmt::format("decoder.{}", i);
      s.part(stage);
      describe_up(c, i, stage + ".up", s);
      s.convolution(stage + ".fuse", 2 * c.channels[n], c.channels[n], 1, pixels_of(c, i));
      describe_blocks(c, i, c.depth[n], c.decoder == Decoder::diffit, stage, s);
    }
  }
  describe_head(c, s);
}

}  // namespace diffit::nn
