#include "nn/diffit/windows.h"

#include <cmath>

namespace diffit::nn {

at::Tensor relative_position_index(std::int64_t w) {
  const at::Tensor position = at::arange(w * w, at::kLong);
  const at::Tensor y = at::floor_divide(position, w), x = at::remainder(position, w);
  const at::Tensor dy = y.unsqueeze(1) - y.unsqueeze(0) + (w - 1);
  const at::Tensor dx = x.unsqueeze(1) - x.unsqueeze(0) + (w - 1);
  return dy * (2 * w - 1) + dx;
}

AttentionParts split_windows(const at::Tensor& qkv, std::int64_t heads, std::int64_t window) {
  const std::int64_t batch = qkv.size(0), rows = qkv.size(1) / window, columns = qkv.size(2) / window;
  const std::int64_t tokens = window * window, width = qkv.size(3) / (3 * heads);
  const at::Tensor parts = qkv.reshape({batch, rows, window, columns, window, 3, heads, width})
                               .permute({5, 0, 1, 3, 6, 2, 4, 7})
                               .reshape({3, batch, rows * columns, heads, tokens, width});
  return {parts[0], parts[1], parts[2], {}};
}

at::Tensor position_bias(const at::Tensor& table, std::int64_t window) {
  const std::int64_t tokens = window * window, heads = table.size(-1);
  const at::Tensor index = relative_position_index(window).reshape({-1}).to(table.device());
  return table.index_select(-2, index)
      .reshape({-1, 1, tokens, tokens, heads})
      .permute({0, 1, 4, 2, 3})
      .contiguous();
}

void append_token(AttentionParts& parts, const at::Tensor& key, const at::Tensor& value) {
  const std::int64_t batch = parts.k.size(0), windows = parts.k.size(1), heads = parts.k.size(2);
  const auto with = [&](const at::Tensor& tokens, const at::Tensor& token) {
    const at::Tensor one = token.to(tokens.scalar_type())
                               .reshape({batch, 1, heads, 1, tokens.size(-1)})
                               .expand({batch, windows, heads, 1, tokens.size(-1)});
    return at::cat({tokens, one}, -2);
  };
  parts.k = with(parts.k, key);
  parts.v = with(parts.v, value);
  parts.bias = at::constant_pad_nd(parts.bias, {0, 1});
}

at::Tensor attention_probabilities(const AttentionParts& parts) {
  const at::ScalarType wide = parts.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const double scale = 1.0 / std::sqrt(static_cast<double>(parts.q.size(-1)));
  const at::Tensor scores = at::matmul(parts.q * scale, parts.k.transpose(-2, -1)).to(wide);
  return (scores + parts.bias).softmax(-1);
}

at::Tensor attend(const AttentionParts& parts, std::int64_t height, std::int64_t width) {
  const at::ScalarType type = parts.v.scalar_type();
  const at::Tensor mixed = at::matmul(attention_probabilities(parts).to(type), parts.v).to(type);
  const std::int64_t batch = mixed.size(0), heads = mixed.size(2), d = mixed.size(4);
  const auto window = static_cast<std::int64_t>(std::llround(std::sqrt(mixed.size(3))));
  return mixed.reshape({batch, height / window, width / window, heads, window, window, d})
      .permute({0, 1, 4, 2, 5, 3, 6})
      .reshape({batch, height, width, heads * d});
}

}  // namespace diffit::nn
