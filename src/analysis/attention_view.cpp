#include "analysis/attention_view.h"

#include <algorithm>
#include <cmath>

namespace diffit::analysis {

namespace {

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor all = tensor.to(at::kDouble).to(at::kCPU).contiguous();
  return {all.const_data_ptr<double>(), all.const_data_ptr<double>() + all.numel()};
}

/// Distance in pixels between every query and key of a window: [N, N].
at::Tensor distances(std::int64_t window, at::Device device) {
  const at::Tensor position = at::arange(window * window, at::kLong);
  const at::Tensor y = at::floor_divide(position, window).to(at::kFloat);
  const at::Tensor x = at::remainder(position, window).to(at::kFloat);
  return ((y.unsqueeze(1) - y).square() + (x.unsqueeze(1) - x).square()).sqrt().to(device);
}

/// <whole - rest, whole> / <whole, whole>.
double share_of(const at::Tensor& whole, const at::Tensor& rest) {
  const at::Tensor a = whole.to(at::kDouble);
  const auto size = a.square().sum().item<double>();
  return size > 0 ? ((a - rest) * a).sum().item<double>() / size : 0;
}

/// Scores of the first sample without their mean over keys: [windows, heads, N, M].
at::Tensor centred_scores(const AttentionParts& parts) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(parts.q.size(-1)));
  const at::Tensor scores =
      (at::matmul(parts.q * scale, parts.k.transpose(-2, -1)).to(at::kFloat) + parts.bias).select(0, 0);
  return scores - scores.mean(-1, /*keepdim=*/true);
}

}  // namespace

std::int64_t map_side(const AttentionParts& parts, std::int64_t window) {
  return window * std::llround(std::sqrt(static_cast<double>(parts.q.size(1))));
}

HeadMeasures head_measures(const AttentionParts& parts, std::int64_t window) {
  const std::int64_t pixels = window * window, heads = parts.q.size(2), keys = parts.k.size(3);
  const at::Tensor a = attention_probabilities(parts).select(0, 0);  // [windows, heads, N, M]
  const auto of_heads = [](const at::Tensor& per_query) {
    return numbers(per_query.mean(at::IntArrayRef({0, 2})));
  };
  HeadMeasures m;
  m.entropy = of_heads(-at::xlogy(a, a).sum(-1));
  const at::Tensor to_pixels = a.narrow(-1, 0, pixels);
  m.distance = of_heads((to_pixels * distances(window, a.device())).sum(-1) / to_pixels.sum(-1));
  m.on_time = keys > pixels ? of_heads(a.select(-1, pixels)) : std::vector<double>(a.size(1), 0.0);
  for (std::int64_t h = 0; h < heads; ++h) {
    const std::vector<double> moved =
        of_heads((a - a.narrow(1, h, 1)).abs().sum(-1) / 2);  // total variation to every head
    double sum = 0;
    for (const double distance : moved) sum += distance;
    m.agreement.push_back(heads > 1 ? 1 - sum / static_cast<double>(heads - 1) : 1);
  }
  return m;
}

TimeShares time_shares(const ObservedAttention& layer) {
  const AttentionParts now = layer.parts(layer.time), without = layer.parts(at::zeros_like(layer.time));
  // A time token among the keys is not a pixel: its key and value are excluded from k and v.
  const std::int64_t pixels = layer.window * layer.window;
  const auto of_pixels = [pixels](const at::Tensor& keys) { return keys.select(0, 0).narrow(-2, 0, pixels); };
  return {.q = share_of(now.q.select(0, 0), without.q.select(0, 0)),
          .k = share_of(of_pixels(now.k), of_pixels(without.k)),
          .v = share_of(of_pixels(now.v), of_pixels(without.v)),
          .scores = share_of(centred_scores(now), centred_scores(without))};
}

PixelAttention pixel_attention(const AttentionParts& parts, std::int64_t window, double y, double x) {
  const std::int64_t side = map_side(parts, window), across = side / window;
  const auto place = [side](double share) {
    return std::clamp<std::int64_t>(std::llround(std::floor(share * static_cast<double>(side))), 0, side - 1);
  };
  PixelAttention pixel{.row = place(y), .column = place(x)};
  pixel.top = pixel.row / window * window;
  pixel.left = pixel.column / window * window;
  const std::int64_t of_window = pixel.row / window * across + pixel.column / window;
  const std::int64_t query = (pixel.row - pixel.top) * window + pixel.column - pixel.left;
  const auto in_window = [&](const at::Tensor& t) { return t.narrow(0, 0, 1).narrow(1, of_window, 1); };
  AttentionParts one{in_window(parts.q).narrow(-2, query, 1), in_window(parts.k), in_window(parts.v),
                     parts.bias.narrow(0, 0, 1).narrow(-2, query, 1)};
  pixel.attention = attention_probabilities(one).flatten(0, 1).reshape({parts.q.size(2), -1}).to(at::kFloat);
  pixel.attention = pixel.attention.to(at::kCPU).contiguous();
  return pixel;
}

at::Tensor bias_by_offset(const AttentionParts& parts, std::int64_t window) {
  const std::int64_t pixels = window * window, heads = parts.bias.size(2), span = 2 * window - 1;
  const at::Tensor bias = parts.bias.select(0, 0).select(0, 0).narrow(-1, 0, pixels).to(at::kCPU, at::kFloat);
  // Every entry of the table is used by at least one pair; pairs with one offset have the same bias.
  const at::Tensor index = relative_position_index(window).reshape({1, -1}).expand({heads, -1});
  const at::Tensor table = at::zeros({heads, span * span}, at::kFloat)
                               .scatter(1, index, bias.reshape({heads, -1}))
                               .reshape({heads, span, span});
  return table.flip({1, 2}).contiguous();  // rows of the table are query - key
}

}  // namespace diffit::analysis
