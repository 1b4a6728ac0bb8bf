#include "nn/cost/ddpmpp_cost.h"

#include "nn/layers/layer_counter.h"
#include "nn/unet/ddpmpp.h"

namespace diffit::nn {

namespace {

void count_attention(LayerCounter& n, const UnetPart& part, const ImageConfig& c, double pixels) {
  n.norm(part.out, pixels);
  n.linear(part.out, 3 * part.out, pixels);
  n.linear(part.out, part.out, pixels);
  n.attention(part.out, pixels, pixels);
  n.elementwise(2 * part.out, pixels);
  if (c.time != TimePath::tmsa) return;
  const std::int64_t offsets = 2 * c.resolution_of(part.stage) - 1;
  n.linear(c.time_width(), 3 * part.out, 1);
  n.cost.parameters += offsets * offsets * c.heads_of(part.stage);
}

void count(LayerCounter& n, const UnetPart& part, const ImageConfig& c) {
  const auto side = static_cast<double>(c.resolution_of(part.stage)), pixels = side * side;
  const bool resampled = part.resample != UnetPart::Resample::none;
  const double scale = part.resample == UnetPart::Resample::halve ? 4 : resampled ? 0.25 : 1;
  n.norm(part.in, pixels * scale);
  n.convolution(part.in, part.out, 3, pixels);
  n.linear(c.time_width(), part.out, 1);
  n.norm(part.out, pixels);
  n.convolution(part.out, part.out, 3, pixels);
  n.elementwise(part.out, pixels);
  if (resampled) n.elementwise(2 * part.in, pixels);
  if (resampled || part.in != part.out) n.convolution(part.in, part.out, 1, pixels);
  if (part.attends) count_attention(n, part, c, pixels);
}

}  // namespace

std::vector<PartCost> ddpmpp_cost(const ImageConfig& config) {
  std::vector<PartCost> costs;
  for (const UnetPart& part : ddpmpp_parts(config)) {
    const std::string stage = part.name.starts_with("middle")
                                  ? "middle"
                                  : fmt::format("{}.{}", part.decoder ? "decoder" : "encoder", part.stage);
    LayerCounter counter;
    if (!costs.empty() && costs.back().part == stage) std::swap(counter.cost, costs.back()), costs.pop_back();
    counter.cost.part = stage;
    count(counter, part, config);
    costs.push_back(counter.cost);
  }
  return costs;
}

}  // namespace diffit::nn
