#include "nn/unet/ddpmpp.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/ops.h"
#include "nn/diffit/image_parts.h"
#include "nn/layers/checkpointing.h"

namespace diffit::nn {

namespace {

GroupNorm unet_norm(std::int64_t width) {
  return {width, groups_of(width), 1e-6};
}

/// Averages 2 x 2 pixels: [B, H, W, C] -> [B, H / 2, W / 2, C].
at::Tensor downsample2(const at::Tensor& x) {
  return at::avg_pool2d(x.permute({0, 3, 1, 2}), {2, 2}).permute({0, 2, 3, 1}).contiguous();
}

/// Returns (a + b) / sqrt(2), which has unit variance if a and b are independent and have unit variance.
at::Tensor unit_sum(const at::Tensor& a, const at::Tensor& b) {
  return (a + b) * M_SQRT1_2;
}

}  // namespace

UnetAttention::UnetAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads_,
                             std::int64_t side_, TimePath path)
    : norm(unet_norm(width)), heads(heads_), side(side_) {
  if (path == TimePath::tmsa) {
    kind = Tmsa({.width = width, .time_width = time_width, .heads = heads, .window = side});
  } else {
    kind = Plain{Linear(width, 3 * width), Linear(width, width)};
  }
}

at::Tensor UnetAttention::operator()(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor normal = norm(x, /*silu=*/false);
  if (const auto* tmsa = std::get_if<Tmsa>(&kind)) return (*tmsa)(normal, time);
  const auto& plain = std::get<Plain>(kind);
  const at::Tensor map = plain.qkv(normal);
  const at::Tensor no_time = at::zeros({map.size(0), map.size(3)}, map.options());
  const at::Tensor no_bias =
      at::zeros({(2 * side - 1) * (2 * side - 1), heads}, norm.weight.options().requires_grad(false));
  return plain.proj(tmsa_attention(map, no_time, no_bias, heads, side));
}

AttentionParts UnetAttention::parts(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor normal = norm(x, /*silu=*/false);
  if (const auto* tmsa = std::get_if<Tmsa>(&kind)) return tmsa->parts(normal, time);
  AttentionParts parts = split_windows(std::get<Plain>(kind).qkv(normal), heads, side);
  parts.bias = at::zeros({1, 1, heads, side * side, side * side}, normal.options());
  return parts;
}

void UnetAttention::add_to(ParameterList& list, const std::string& prefix) const {
  norm.add_to(list, prefix + ".norm");
  if (const auto* tmsa = std::get_if<Tmsa>(&kind))
    return tmsa->add_to(list, prefix + ".tmsa", Initializer::zero);
  std::get<Plain>(kind).qkv.add_to(list, prefix + ".qkv");
  std::get<Plain>(kind).proj.add_to(list, prefix + ".proj", Initializer::zero);
}

UnetBlock::UnetBlock(const UnetPart& part, const ImageConfig& c)
    : norm0(unet_norm(part.in)),
      norm1(unet_norm(part.out)),
      conv0(part.in, part.out, 3),
      conv1(part.out, part.out, 3),
      temb(c.time_width(), part.out),
      resample(part.resample) {
  if (part.has_skip()) skip = Conv2d(part.in, part.out, 1);
  if (part.attends) {
    attention.emplace(part.out, c.time_width(), c.heads_of(part.stage), c.resolution_of(part.stage), c.time);
  }
}

at::Tensor UnetBlock::convolve(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
  const auto resampled = [this](const at::Tensor& map) {
    if (resample == UnetPart::Resample::halve) return downsample2(map);
    return resample == UnetPart::Resample::twice ? upsample2(map) : map;
  };
  at::Tensor h = conv0(resampled(norm0(x, /*silu=*/true)));
  h = h + expand_to_map(temb(at::silu(time)), h);
  h = conv1(apply_dropout(norm1(h, /*silu=*/true), dropout));
  return unit_sum(skip ? (*skip)(resampled(x)) : x, h);
}

at::Tensor UnetBlock::attend(const at::Tensor& y, const at::Tensor& time) const {
  return attention ? unit_sum((*attention)(y, time), y) : y;
}

void UnetBlock::add_to(ParameterList& list, const std::string& prefix) const {
  norm0.add_to(list, prefix + ".norm0");
  conv0.add_to(list, prefix + ".conv0");
  temb.add_to(list, prefix + ".temb");
  norm1.add_to(list, prefix + ".norm1");
  conv1.add_to(list, prefix + ".conv1", Initializer::zero);
  if (skip) skip->add_to(list, prefix + ".skip");
  if (attention) attention->add_to(list, prefix + ".attention");
}

DdpmPlusPlus::DdpmPlusPlus(const ImageConfig& c)
    : parts_(ddpmpp_parts(c)),
      tokenizer_(c.in_channels, c.channels.front(), 3),
      head_norm_(unet_norm(c.channels.front())),
      head_conv_(c.channels.front(), c.in_channels, 3) {
  for (const UnetPart& part : parts_) blocks_.emplace_back(part, c);
}

at::Tensor DdpmPlusPlus::operator()(const at::Tensor& x, const at::Tensor& time,
                                    const RunOptions& options) const {
  const auto run = [&](std::size_t i, const at::Tensor& map) {
    const UnetBlock& block = blocks_[i];
    Dropout here = options.dropout;
    here.place = static_cast<std::int64_t>(i);
    if (options.observer && block.attention) {
      const at::Tensor y = block.convolve(map, time, here);
      options.observer({parts_[i].name, block.attention->side, time,
                        [&](const at::Tensor& token) { return block.attention->parts(y, token); }});
      return block.attend(y, time);
    }
    if (!options.checkpointing || !at::GradMode::is_enabled()) return block(map, time, here);
    return checkpoint([&block, here](const at::Tensor& a, const at::Tensor& b) { return block(a, b, here); },
                      map, time);
  };
  at::Tensor map = tokenizer_(x);
  std::vector<at::Tensor> skips{map};
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].joins) {
      map = at::cat({map, skips.back()}, -1);
      skips.pop_back();
    }
    map = run(i, map);
    if (!parts_[i].decoder) skips.push_back(map);
  }
  return head_conv_(head_norm_(map, /*silu=*/true));
}

void DdpmPlusPlus::add_to(ParameterList& list) const {
  tokenizer_.add_to(list, "tokenizer");
  for (std::size_t i = 0; i < parts_.size(); ++i) blocks_[i].add_to(list, parts_[i].name);
  head_norm_.add_to(list, "head.norm");
  head_conv_.add_to(list, "head.conv", Initializer::zero);
}

namespace {

void describe_part(const UnetPart& part, const ImageConfig& c, Structure& s) {
  const auto side = static_cast<double>(c.resolution_of(part.stage));
  const double pixels = side * side;
  const bool resampled = part.resample != UnetPart::Resample::none;
  const double scale = part.resample == UnetPart::Resample::halve ? 4 : resampled ? 0.25 : 1;
  const std::string& name = part.name;
  s.norm(name + ".norm0", part.in, pixels * scale);
  s.convolution(name + ".conv0", part.in, part.out, 3, pixels);
  s.linear(name + ".temb", c.time_width(), part.out, 1);
  s.norm(name + ".norm1", part.out, pixels);
  s.convolution(name + ".conv1", part.out, part.out, 3, pixels);
  s.elementwise(name, part.out, pixels);
  if (resampled) s.elementwise(name + ".resampled", 2 * part.in, pixels);
  if (part.has_skip()) s.convolution(name + ".skip", part.in, part.out, 1, pixels);
  if (!part.attends) return;
  const std::string attention = name + ".attention";
  s.norm(attention + ".norm", part.out, pixels);
  if (c.time == TimePath::tmsa) {
    const BlockShape shape{.width = part.out,
                           .time_width = c.time_width(),
                           .heads = c.heads_of(part.stage),
                           .window = c.resolution_of(part.stage),
                           .pixels = pixels};
    describe_attention(shape, TimePath::tmsa, attention + ".tmsa", s);
  } else {
    s.linear(attention + ".qkv", part.out, 3 * part.out, pixels);
    s.attention(attention, part.out, pixels, pixels);
    s.linear(attention + ".proj", part.out, part.out, pixels);
  }
  s.elementwise(attention, 2 * part.out, pixels);
}

}  // namespace

void describe_ddpmpp(const ImageConfig& c, const DescribeEmbedders& embedders, Structure& s) {
  const auto side = static_cast<double>(c.resolution);
  s.part("tokenizer");  // the first part, although the embedders come first among the parameters
  embedders(s);
  s.part("tokenizer");
  s.convolution("tokenizer", c.in_channels, c.channels.front(), 3, side * side);
  for (const UnetPart& part : ddpmpp_parts(c)) {
    s.part(part.name.starts_with("middle")
               ? "middle"
               : fmt::format("{}.{}", part.decoder ? "decoder" : "encoder", part.stage));
    describe_part(part, c, s);
  }
  describe_head(c, s);
}

}  // namespace diffit::nn
