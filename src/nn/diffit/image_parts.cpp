#include "nn/diffit/image_parts.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/ops.h"

namespace diffit::nn {

std::int64_t groups_of(std::int64_t width) {
  return std::min<std::int64_t>(32, width / 4);
}

ResBlock::ResBlock(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
                   double mlp_ratio, TimePath path, bool convolution)
    : block(width, time_width, heads, window, mlp_ratio, path) {
  if (!convolution) return;
  norm = GroupNorm(width, groups_of(width), kGroupNormEps);
  if (path == TimePath::scale_shift) norm_temb = Linear(time_width, 2 * width);
  if (path == TimePath::concat) concat_temb = Linear(time_width, width / 4);
  if (path == TimePath::add) add_temb = Linear(time_width, width);
  conv = Conv2d(path == TimePath::concat ? width + width / 4 : width, width, 3);
}

at::Tensor ResBlock::convolved(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
  if (!conv.weight.defined()) return x;
  if (norm_temb.weight.defined()) {
    const std::vector<at::Tensor> m = norm_temb(time).chunk(2, -1);
    return conv(dropped(at::silu(scale_and_shift(norm(x, /*silu=*/false), m[0], m[1])), dropout));
  }
  const at::Tensor active = dropped(norm(x, /*silu=*/true), dropout);
  if (concat_temb.weight.defined()) {
    return conv(at::cat({active, at_every_pixel(concat_temb(time), active)}, -1));
  }
  const at::Tensor made = conv(active);
  return add_temb.weight.defined() ? made + at_every_pixel(add_temb(time), made) : made;
}

at::Tensor ResBlock::operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
  if (!conv.weight.defined()) return block(x, time);
  return block(convolved(x, time, dropout), time) + x;
}

void ResBlock::add_to(ParameterList& list, const std::string& prefix) const {
  if (conv.weight.defined()) {
    norm.add_to(list, prefix + ".norm");
    if (norm_temb.weight.defined()) norm_temb.add_to(list, prefix + ".norm_temb");
    if (concat_temb.weight.defined()) concat_temb.add_to(list, prefix + ".concat_temb");
    if (add_temb.weight.defined()) add_temb.add_to(list, prefix + ".add_temb");
    conv.add_to(list, prefix + ".conv");
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
  if (sampling == Sampling::convolution) conv = Conv2d(in, out, 3, 2);
  if (sampling == Sampling::patch) merge = Linear(4 * in, out);
}

at::Tensor Down::operator()(const at::Tensor& x) const {
  if (conv.weight.defined()) return conv(x);
  return merge(layer_norm(space_to_depth(x, 2), kLayerNormEps));
}

void Down::add_to(ParameterList& list, const std::string& prefix) const {
  if (conv.weight.defined()) conv.add_to(list, prefix);
  if (merge.weight.defined()) merge.add_to(list, prefix);
}

Up::Up(std::int64_t in, std::int64_t out, Sampling sampling) {
  if (sampling == Sampling::convolution) conv = Conv2d(in, out, 3);
  if (sampling == Sampling::patch) expand = Linear(in, 4 * out);
}

at::Tensor Up::operator()(const at::Tensor& x) const {
  return conv.weight.defined() ? conv(upsample2(x)) : depth_to_space(expand(x), 2);
}

void Up::add_to(ParameterList& list, const std::string& prefix) const {
  if (conv.weight.defined()) conv.add_to(list, prefix);
  if (expand.weight.defined()) expand.add_to(list, prefix);
}

void Stage::add_to(ParameterList& list) const {
  if (up.defined()) {
    up.add_to(list, name + ".up");
    fuse.add_to(list, name + ".fuse");
  }
  for (std::size_t k = 0; k < blocks.size(); ++k)
    blocks[k].add_to(list, fmt::format("{}.blocks.{}", name, k));
  if (down.defined()) down.add_to(list, name + ".down");
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

at::Tensor resized(const at::Tensor& x, std::int64_t side) {
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
    if (above.defined()) level = level + resized(above, level.size(1));
    const at::Tensor active = at::silu(refine[i](level));
    refined[i] = patch > 1 ? depth_to_space(expand[i](active), patch) : resized(active, side);
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
