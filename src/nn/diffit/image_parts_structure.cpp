// Descriptions of the building blocks of the image-space model.
#include "nn/diffit/image_parts.h"

#include <fmt/format.h>

namespace diffit::nn {

double pixels_of(const ImageConfig& c, std::int64_t stage) {
  const auto side = static_cast<double>(c.resolution_of(stage));
  return side * side;
}

void describe_blocks(const ImageConfig& c, std::int64_t stage, std::int64_t count, bool diffit,
                     const std::string& prefix, Structure& s) {
  const BlockShape shape = block_shape(c, stage);
  for (std::int64_t k = 0; k < count; ++k) {
    const std::string name = fmt::format("{}.blocks.{}", prefix, k);
    if (diffit) {
      s.norm(name + ".norm", shape.width, shape.pixels);
      describe_time(shape, c.time, TimeSite::convolution, name, s);
      s.convolution(name + ".conv", variant_of(c.time).convolution_inputs(shape), shape.width, 3,
                    shape.pixels);
    }
    describe_block(shape, diffit ? c.time : TimePath::tokens, name + ".block", s);
  }
}

void describe_down(const ImageConfig& c, std::int64_t stage, const std::string& prefix, Structure& s) {
  const auto n = static_cast<std::size_t>(stage);
  const std::int64_t in = c.channels[n], out = c.channels[n + 1];
  const double pixels = pixels_of(c, stage + 1);
  if (c.sampling == Sampling::convolution) return s.convolution(prefix, in, out, 3, pixels);
  s.elementwise(prefix, 4 * in, pixels);
  s.linear(prefix, 4 * in, out, pixels);
}

void describe_up(const ImageConfig& c, std::int64_t stage, const std::string& prefix, Structure& s) {
  const auto n = static_cast<std::size_t>(stage);
  const std::int64_t in = c.channels[n + 1], out = c.channels[n];
  const double pixels = pixels_of(c, stage);
  if (c.sampling == Sampling::convolution) return s.convolution(prefix, in, out, 3, pixels);
  s.linear(prefix, in, 4 * out, pixels / 4);
}

void describe_mla(const ImageConfig& c, std::int64_t patch, const std::string& prefix, Structure& s) {
  const std::int64_t width = c.channels.front(), last = c.stages() - 1;
  const bool vit = patch > 1 || c.encoder == Encoder::vit;
  for (std::int64_t i = 0; i <= last; ++i) {
    const double pixels = pixels_of(c, vit ? last : i);
    const std::int64_t in = vit ? c.channels.back() : c.channels[static_cast<std::size_t>(i)];
    s.convolution(fmt::format("{}.lateral.{}", prefix, i), in, width, 1, pixels);
    s.convolution(fmt::format("{}.refine.{}", prefix, i), width, width, 3, pixels);
    s.elementwise(fmt::format("{}.refine.{}", prefix, i), width, pixels + pixels_of(c, 0));
    if (patch > 1) s.linear(fmt::format("{}.expand.{}", prefix, i), width, patch * patch * width, pixels);
  }
  s.convolution(prefix + ".fuse", width * c.stages(), width, 3, pixels_of(c, 0));
}

void describe_head(const ImageConfig& c, Structure& s) {
  s.part("head");
  s.norm("head.norm", c.channels.front(), pixels_of(c, 0));
  s.convolution("head.conv", c.channels.front(), c.in_channels, 3, pixels_of(c, 0));
}

}  // namespace diffit::nn
