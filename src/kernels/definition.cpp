#include <cmath>

#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels::definition {
namespace {

using at::Tensor;

/// Index into the bias table of every (query, key) pair of a window, [N * N].
Tensor relative_position_index(std::int64_t window, at::Device device) {
  const Tensor axis = at::arange(window, at::TensorOptions().dtype(at::kLong).device(device));
  const Tensor y = axis.repeat_interleave(window);
  const Tensor x = axis.repeat({window});
  const Tensor dy = y.unsqueeze(1) - y.unsqueeze(0) + (window - 1);
  const Tensor dx = x.unsqueeze(1) - x.unsqueeze(0) + (window - 1);
  return (dy * (2 * window - 1) + dx).reshape({-1});
}

/// Softmax and moments are taken in float32 at least.
at::ScalarType accumulation_type(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace

Tensor tmsa_attention(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                      std::int64_t window) {
  const std::int64_t batch = qkv.size(0), rows = qkv.size(1) / window, columns = qkv.size(2) / window;
  const std::int64_t channels = qkv.size(3) / 3, width = channels / heads, tokens = window * window;
  const at::ScalarType wide = accumulation_type(qkv);

  const Tensor sum = qkv + qkv_t.to(qkv.scalar_type()).unsqueeze(1).unsqueeze(1);
  // [3, B, rows, columns, heads, N, width]
  const Tensor parts = sum.reshape({batch, rows, window, columns, window, 3, heads, width})
                           .permute({5, 0, 1, 3, 6, 2, 4, 7})
                           .reshape({3, batch * rows * columns, heads, tokens, width});
  const Tensor bias = table.index_select(0, relative_position_index(window, table.device()))
                          .reshape({tokens, tokens, heads})
                          .permute({2, 0, 1})
                          .to(wide);
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  const Tensor scores = at::matmul(parts[0] * scale, parts[1].transpose(-2, -1)).to(wide) + bias;
  const Tensor mixed = at::matmul(scores.softmax(-1).to(qkv.scalar_type()), parts[2]).to(qkv.scalar_type());
  return mixed.reshape({batch, rows, columns, heads, window, window, width})
      .permute({0, 1, 4, 2, 5, 3, 6})
      .reshape({batch, rows * window, columns * window, channels});
}

Tensor layer_norm(const Tensor& x, double eps) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, eps).to(x.scalar_type());
}

Tensor add_layer_norm(Tensor& stream, const Tensor& added, double eps) {
  stream.add_(added);
  return layer_norm(stream, eps).to(added.scalar_type());
}

Tensor gelu_tanh(const Tensor& x) {
  return at::gelu(x, "tanh");
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                  bool silu) {
  const std::int64_t batch = x.size(0), channels = x.size(-1);
  const Tensor grouped = x.to(accumulation_type(x)).reshape({batch, -1, groups, channels / groups});
  const Tensor mean = grouped.mean({1, 3}, true);
  const Tensor centred = grouped - mean;
  const Tensor variance = centred.square().mean({1, 3}, true);
  const Tensor normal = (centred * (variance + eps).rsqrt()).reshape(x.sizes());
  const Tensor affine = normal * weight + bias;
  return (silu ? at::silu(affine) : affine).to(x.scalar_type());
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return at::linear(x, weight, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t stride) {
  const std::int64_t padding = weight.size(-1) / 2;
  const Tensor y =
      at::conv2d(x.permute({0, 3, 1, 2}), weight, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt,
                 {stride, stride}, {padding, padding});
  return y.permute({0, 2, 3, 1}).contiguous();
}

Tensor upsample2(const Tensor& x) {
  const std::int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  return x.reshape({batch, height, 1, width, 1, channels})
      .expand({batch, height, 2, width, 2, channels})
      .reshape({batch, 2 * height, 2 * width, channels});
}

}  // namespace diffit::kernels::definition
