#include "nn/unet/parts.h"

#include <fmt/format.h>

namespace diffit::nn {

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

}  // namespace diffit::nn
