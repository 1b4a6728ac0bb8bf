#include "nn/diffit/vit_backbone.h"

namespace diffit::nn {

namespace {

std::int64_t last_stage(const ImageConfig& c) {
  return c.stages() - 1;
}

std::int64_t patch_side(const ImageConfig& c) {
  return std::int64_t{1} << last_stage(c);
}

}  // namespace

VitBackbone::VitBackbone(const ImageConfig& c)
    : resolution_(c.resolution),
      patches_(c.in_channels, c.channels.back(), patch_side(c), c.resolution_of(last_stage(c))),
      blocks_(make_stage(c, last_stage(c), c.vit_depth(), "encoder.0", /*diffit=*/false)),
      decoder_(std::vector(c.channels.size(), c.channels.back()), c.channels.front(), patch_side(c)),
      head_(c) {}

at::Tensor VitBackbone::operator()(const at::Tensor& x, const at::Tensor& time,
                                   const RunOptions& options) const {
  const std::size_t count = blocks_.blocks.size(), wanted = decoder_.lateral.size();
  std::vector<at::Tensor> levels;
  at::Tensor map = patches_(x);
  for (std::size_t k = 0; k < count; ++k) {
    map = blocks_.run(k, map, time, options);
    // The levels are equally spaced; the last one follows the last block.
    if (k + 1 == (levels.size() + 1) * count / wanted) levels.push_back(map);
  }
  return head_(decoder_(levels, resolution_));
}

void VitBackbone::add_input_to(ParameterList& list) const {
  patches_.add_to(list, "patches");
}

void VitBackbone::add_to(ParameterList& list) const {
  blocks_.add_to(list);
  decoder_.add_to(list, "decoder");
  head_.add_to(list);
}

void describe_vit(const ImageConfig& c, const DescribeEmbedders& embedders, Structure& s) {
  const std::int64_t last = last_stage(c), patch = patch_side(c), side = c.resolution_of(last);
  const std::int64_t width = c.channels.back();
  s.part("patches");
  s.table("patches.position", side * side * width);
  s.linear("patches.proj", patch * patch * c.in_channels, width, pixels_of(c, last));
  embedders(s);
  s.part("encoder.0");
  describe_blocks(c, last, c.vit_depth(), /*diffit=*/false, "encoder.0", s);
  s.part("decoder");
  describe_mla(c, patch, "decoder", s);
  describe_head(c, s);
}

}  // namespace diffit::nn
