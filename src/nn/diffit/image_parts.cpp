#include "nn/diffit/image_parts.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/ops.h"
#include "nn/layers/checkpointing.h"

namespace diffit::nn {

ResBlock::ResBlock(const BlockShape& shape, TimePath path) : block(shape, path) {
  convolution = Convolution{GroupNorm(shape.width, groups_of(shape.width), kGroupNormEps),
                            Conv2d(variant_of(path).convolution_inputs(shape), shape.width, 3)};
}

at::Tensor ResBlock::convolve(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
  if (!convolution) return x;
  return block.conditioning().convolve(convolution->norm, convolution->conv, x, time, dropout);
}

at::Tensor ResBlock::operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
  if (!convolution) return block(x, time);
  return block(convolve(x, time, dropout), time) + x;
}

void ResBlock::add_to(ParameterList& list, const std::string& prefix) const {
  if (convolution) {
    convolution->norm.add_to(list, prefix + ".norm");
    block.conditioning().add_to(TimeSite::convolution, list, prefix);
    convolution->conv.add_to(list, prefix + ".conv");
  }
  block.add_to(list, prefix + ".block");
}

at::Tensor space_to_depth(const at::Tensor& x, std::int64_t p) {
  const std::int64_t height = x.size(1) / p, width = x.size(2) / p, channels = x.size(3);
  return x.reshape({x.size(0), height, p, width, p, channels})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({x.size(0), height, width, p * p * channels});
}

at::Tensor depth_to_space(const at::Tensor& x, std::int64_t p) {
  const std::int64_t height = x.size(1), width = x.size(2), channels = x.size(3) / (p * p);
  return x.reshape({x.size(0), height, width, p, p, channels})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({x.size(0), height * p, width * p, channels});
}

Down::Down(std::int64_t in, std::int64_t out, Sampling sampling) {
  if (sampling == Sampling::convolution) {
    layer = Conv2d(in, out, 3, 2);
  } else {
    layer = Linear(4 * in, out);
  }
}

at::Tensor Down::operator()(const at::Tensor& x) const {
  if (const auto* conv = std::get_if<Conv2d>(&layer)) return (*conv)(x);
  return std::get<Linear>(layer)(layer_norm(space_to_depth(x, 2), kLayerNormEps));
}

void Down::add_to(ParameterList& list, const std::string& prefix) const {
  std::visit([&](const auto& l) { l.add_to(list, prefix); }, layer);
}

Up::Up(std::int64_t in, std::int64_t out, Sampling sampling) {
  if (sampling == Sampling::convolution) {
    layer = Conv2d(in, out, 3);
  } else {
    layer = Linear(in, 4 * out);
  }
}

at::Tensor Up::operator()(const at::Tensor& x) const {
  if (const auto* conv = std::get_if<Conv2d>(&layer)) return (*conv)(upsample2(x));
  return depth_to_space(std::get<Linear>(layer)(x), 2);
}

void Up::add_to(ParameterList& list, const std::string& prefix) const {
  std::visit([&](const auto& l) { l.add_to(list, prefix); }, layer);
}

at::Tensor Stage::run(std::size_t k, const at::Tensor& x, const at::Tensor& time,
                      const RunOptions& options) const {
  const ResBlock& block = blocks[k];
  Dropout here = options.dropout;
  here.place = first_place + static_cast<std::int64_t>(k);
  if (options.observer) {
    const at::Tensor map = block.convolve(x, time, here);
    options.observer({fmt::format("{}.blocks.{}", name, k), block.block.attn.window, time,
                      [&](const at::Tensor& token) { return block.block.attention_parts(map, token); }});
  }
  if (!options.checkpointing || !at::GradMode::is_enabled()) return block(x, time, here);
  return checkpoint([&block, here](const at::Tensor& a, const at::Tensor& b) { return block(a, b, here); }, x,
                    time);
}

at::Tensor Stage::run(at::Tensor map, const at::Tensor& time, const RunOptions& options) const {
  for (std::size_t k = 0; k < blocks.size(); ++k) map = run(k, map, time, options);
  return map;
}

void Stage::add_to(ParameterList& list) const {
  if (join) {
    join->up.add_to(list, name + ".up");
    join->fuse.add_to(list, name + ".fuse");
  }
  for (std::size_t k = 0; k < blocks.size(); ++k)
    blocks[k].add_to(list, fmt::format("{}.blocks.{}", name, k));
  if (down) down->add_to(list, name + ".down");
}

BlockShape block_shape(const ImageConfig& c, std::int64_t stage) {
  const auto side = static_cast<double>(c.resolution_of(stage));
  return {.width = c.channels[static_cast<std::size_t>(stage)],
          .time_width = c.time_width(),
          .heads = c.heads_of(stage),
          .window = c.window_of(stage),
          .mlp_ratio = c.mlp_ratio,
          .pixels = side * side};
}

Stage make_stage(const ImageConfig& c, std::int64_t stage, std::int64_t count, std::string name,
                 bool diffit) {
  const BlockShape shape = block_shape(c, stage);
  Stage result{.name = std::move(name), .blocks = {}, .down = {}, .join = {}};
  for (std::int64_t k = 0; k < count; ++k) {
    result.blocks.push_back(diffit ? ResBlock(shape, c.time) : ResBlock(shape));
  }
  return result;
}

Head::Head(const ImageConfig& c)
    : norm(c.channels.front(), groups_of(c.channels.front()), kGroupNormEps),
      conv(c.channels.front(), c.in_channels, 3) {}

void Head::add_to(ParameterList& list) const {
  norm.add_to(list, "head.norm");
  conv.add_to(list, "head.conv", Initializer::zero);
}

PatchEmbedding::PatchEmbedding(std::int64_t channels, std::int64_t width, std::int64_t patch_,
                               std::int64_t side)
    : proj(patch_ * patch_ * channels, width),
      position(at::empty({1, side, side, width}, at::kFloat)),
      patch(patch_) {}

at::Tensor PatchEmbedding::operator()(const at::Tensor& x) const {
  return proj(space_to_depth(x, patch)) + position;
}

void PatchEmbedding::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".position", position, Initializer::normal_002);
  proj.add_to(list, prefix + ".proj");
}

MlaDecoder::MlaDecoder(const std::vector<std::int64_t>& channels, std::int64_t width, std::int64_t patch_)
    : patch(patch_) {
  for (const std::int64_t c : channels) {
    lateral.emplace_back(c, width, 1);
    refine.emplace_back(width, width, 3);
    if (patch > 1) expand.emplace_back(width, patch * patch * width);
  }
  fuse = Conv2d(width * static_cast<std::int64_t>(channels.size()), width, 3);
}

namespace {

at::Tensor resize(const at::Tensor& x, std::int64_t side) {
  if (x.size(1) == side) return x;
  return at::upsample_bilinear2d(x.permute({0, 3, 1, 2}), {side, side}, /*align_corners=*/false)
      .permute({0, 2, 3, 1})
      .contiguous();
}

}  // namespace

at::Tensor MlaDecoder::operator()(const std::vector<at::Tensor>& levels, std::int64_t side) const {
  std::vector<at::Tensor> refined(levels.size());
  at::Tensor above;
  for (std::size_t i = levels.size(); i-- > 0;) {
    at::Tensor level = lateral[i](levels[i]);
    if (above.defined()) level = level + resize(above, level.size(1));
    const at::Tensor active = at::silu(refine[i](level));
    refined[i] = patch > 1 ? depth_to_space(expand[i](active), patch) : resize(active, side);
    above = level;
  }
  return fuse(at::cat(refined, -1));
}

void MlaDecoder::add_to(ParameterList& list, const std::string& prefix) const {
  for (std::size_t i = 0; i < lateral.size(); ++i) {
    lateral[i].add_to(list, fmt::format("{}.lateral.{}", prefix, i));
    refine[i].add_to(list, fmt::format("{}.refine.{}", prefix, i));
    if (patch > 1) expand[i].add_to(list, fmt::format("{}.expand.{}", prefix, i));
  }
  fuse.add_to(list, prefix + ".fuse");
}

}  // namespace diffit::nn
