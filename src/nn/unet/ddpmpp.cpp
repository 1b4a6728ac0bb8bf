#include "nn/unet/ddpmpp.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/ops.h"
#include "nn/layers/checkpointing.h"

namespace diffit::nn {

namespace {

GroupNorm unet_norm(std::int64_t width) {
  return {width, groups_of(width), 1e-6};
}

/// Averages 2 x 2 pixels: [B, H, W, C] -> [B, H / 2, W / 2, C].
at::Tensor halved(const at::Tensor& x) {
  return at::avg_pool2d(x.permute({0, 3, 1, 2}), {2, 2}).permute({0, 2, 3, 1}).contiguous();
}

/// Returns (a + b) / sqrt(2), which has unit variance if a and b are independent and have unit variance.
at::Tensor sum_of(const at::Tensor& a, const at::Tensor& b) {
  return (a + b) * M_SQRT1_2;
}

}  // namespace

UnetAttention::UnetAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads_,
                             std::int64_t side_, TimePath path)
    : norm(unet_norm(width)), heads(heads_), side(side_) {
  if (path == TimePath::tmsa) {
    tmsa = Tmsa(width, time_width, heads, side);
  } else {
    qkv = Linear(width, 3 * width);
    proj = Linear(width, width);
  }
}

at::Tensor UnetAttention::operator()(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor normal = norm(x, /*silu=*/false);
  if (tmsa.table.defined()) return tmsa(normal, time);
  const at::Tensor map = qkv(normal);
  const at::Tensor no_time = at::zeros({map.size(0), map.size(3)}, map.options());
  const at::Tensor no_bias =
      at::zeros({(2 * side - 1) * (2 * side - 1), heads}, norm.weight.options().requires_grad(false));
  return proj(tmsa_attention(map, no_time, no_bias, heads, side));
}

AttentionParts UnetAttention::parts(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor normal = norm(x, /*silu=*/false);
  if (tmsa.table.defined()) return tmsa.parts(normal, time);
  AttentionParts parts = split_windows(qkv(normal), heads, side);
  parts.bias = at::zeros({1, 1, heads, side * side, side * side}, normal.options());
  return parts;
}

void UnetAttention::add_to(ParameterList& list, const std::string& prefix) const {
  norm.add_to(list, prefix + ".norm");
  if (tmsa.table.defined()) return tmsa.add_to(list, prefix + ".tmsa", Initializer::zero);
  qkv.add_to(list, prefix + ".qkv");
  proj.add_to(list, prefix + ".proj", Initializer::zero);
}

UnetBlock::UnetBlock(const UnetPart& part, const ImageConfig& c)
    : norm0(unet_norm(part.in)),
      norm1(unet_norm(part.out)),
      conv0(part.in, part.out, 3),
      conv1(part.out, part.out, 3),
      temb(c.time_width(), part.out),
      resample(part.resample) {
  if (part.in != part.out || resample != UnetPart::Resample::none) skip = Conv2d(part.in, part.out, 1);
  if (part.attends) {
    attention =
        UnetAttention(part.out, c.time_width(), c.heads_of(part.stage), c.resolution_of(part.stage), c.time);
  }
}

at::Tensor UnetBlock::convolved(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout) const {
  const auto resampled = [this](const at::Tensor& map) {
    if (resample == UnetPart::Resample::halve) return halved(map);
    return resample == UnetPart::Resample::twice ? upsample2(map) : map;
  };
  at::Tensor h = conv0(resampled(norm0(x, /*silu=*/true)));
  h = h + at_every_pixel(temb(at::silu(time)), h);
  h = conv1(dropped(norm1(h, /*silu=*/true), dropout));
  return sum_of(skip.weight.defined() ? skip(resampled(x)) : x, h);
}

at::Tensor UnetBlock::attended(const at::Tensor& y, const at::Tensor& time) const {
  return attention.defined() ? sum_of(attention(y, time), y) : y;
}

void UnetBlock::add_to(ParameterList& list, const std::string& prefix) const {
  norm0.add_to(list, prefix + ".norm0");
  conv0.add_to(list, prefix + ".conv0");
  temb.add_to(list, prefix + ".temb");
  norm1.add_to(list, prefix + ".norm1");
  conv1.add_to(list, prefix + ".conv1", Initializer::zero);
  if (skip.weight.defined()) skip.add_to(list, prefix + ".skip");
  if (attention.defined()) attention.add_to(list, prefix + ".attention");
}

std::vector<UnetPart> ddpmpp_parts(const ImageConfig& c) {
  std::vector<UnetPart> parts;
  std::vector<std::int64_t> skips{c.channels.front()};
  const std::int64_t last = c.stages() - 1;
  std::int64_t width = c.channels.front();
  const auto add = [&](UnetPart part) {
    width = part.out;
    if (!part.decoder) skips.push_back(width);
    parts.push_back(std::move(part));
  };
  using Resample = UnetPart::Resample;
  for (std::int64_t i = 0; i <= last; ++i) {
    const std::string name = fmt::format("encoder.{}", i);
    const std::int64_t out = c.channels[static_cast<std::size_t>(i)];
    if (i > 0)
      add({.name = name + ".down", .stage = i, .in = width, .out = width, .resample = Resample::halve});
    for (std::int64_t k = 0; k < c.depth[static_cast<std::size_t>(i)]; ++k) {
      add({.name = fmt::format("{}.blocks.{}", name, k),
           .stage = i,
           .in = width,
           .out = out,
           .attends = c.attends(i)});
    }
  }
  add({.name = "middle.0", .stage = last, .in = width, .out = width, .attends = true, .decoder = true});
  add({.name = "middle.1", .stage = last, .in = width, .out = width, .decoder = true});
  for (std::int64_t i = last; i >= 0; --i) {
    const std::string name = fmt::format("decoder.{}", i);
    const std::int64_t out = c.channels[static_cast<std::size_t>(i)];
    const std::int64_t depth = c.depth[static_cast<std::size_t>(i)];
    if (i < last) {
      add({.name = name + ".up",
           .stage = i,
           .in = width,
           .out = width,
           .resample = Resample::twice,
           .decoder = true});
    }
    // One block more than in the encoder, for the skip of the tokenizer or of the downsampling block. The
    // last block has attention.
    for (std::int64_t k = 0; k <= depth; ++k) {
      add({.name = fmt::format("{}.blocks.{}", name, k),
           .stage = i,
           .in = width + skips.back(),
           .out = out,
           .attends = c.attends(i) && k == depth,
           .decoder = true,
           .joins = true});
      skips.pop_back();
    }
  }
  return parts;
}

DdpmPlusPlus::DdpmPlusPlus(const ImageConfig& c)
    : parts_(ddpmpp_parts(c)),
      tokenizer_(c.in_channels, c.channels.front(), 3),
      head_norm_(unet_norm(c.channels.front())),
      head_conv_(c.channels.front(), c.in_channels, 3) {
  for (const UnetPart& part : parts_) blocks_.emplace_back(part, c);
}

at::Tensor DdpmPlusPlus::operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout,
                                    bool checkpointing, const AttentionObserver& observer) const {
  const auto run = [&](std::size_t i, const at::Tensor& map) {
    const UnetBlock& block = blocks_[i];
    Dropout here = dropout;
    here.place = static_cast<std::int64_t>(i);
    if (observer && block.attention.defined()) {
      const at::Tensor y = block.convolved(map, time, here);
      observer({parts_[i].name, block.attention.side, time,
                [&](const at::Tensor& token) { return block.attention.parts(y, token); }});
      return block.attended(y, time);
    }
    if (!checkpointing || !at::GradMode::is_enabled()) return block(map, time, here);
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

}  // namespace diffit::nn
