#include "kernels/backend.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/dispatch.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;

cpu::AttentionShape attention_shape(const Tensor& qkv, std::int64_t heads, std::int64_t window) {
  return {qkv.size(0), qkv.size(1), qkv.size(2), heads, qkv.size(3) / 3 / heads, window};
}

bool takes_attention(const Tensor& qkv, std::int64_t, std::int64_t) {
  return takes_cpu_kernel(qkv);
}

Tensor attention_forward(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                         std::int64_t window, Saved*) {
  const cpu::AttentionShape shape = attention_shape(qkv, heads, window);
  Tensor out = at::empty({shape.batch, shape.height, shape.width, shape.channels()}, qkv.options());
  cpu::attention_forward(shape, element_of(qkv), qkv.const_data_ptr(), qkv_t.const_data_ptr(),
                         table.const_data_ptr<float>(), out.mutable_data_ptr());
  return out;
}

std::array<Tensor, 3> attention_backward(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table,
                                         std::int64_t heads, std::int64_t window, const Saved&,
                                         const Tensor& d_out) {
  Tensor d_qkv = at::empty_like(qkv), d_qkv_t = at::empty_like(qkv_t), d_table = at::empty_like(table);
  cpu::attention_backward(attention_shape(qkv, heads, window), element_of(qkv), qkv.const_data_ptr(),
                          qkv_t.const_data_ptr(), table.const_data_ptr<float>(), d_out.const_data_ptr(),
                          d_qkv.mutable_data_ptr(), d_qkv_t.mutable_data_ptr(),
                          d_table.mutable_data_ptr<float>());
  return {d_qkv, d_qkv_t, d_table};
}

Tensor layer_norm_forward(const Tensor& x, double eps, Saved* saved) {
  const std::int64_t width = x.size(-1), rows = x.numel() / width;
  const Tensor y = at::empty_like(x);
  Tensor mean, inverse;
  if (saved != nullptr) {
    mean = at::empty({rows}, at::kFloat);
    inverse = at::empty_like(mean);
    *saved = {mean, inverse};
  }
  cpu::layer_norm_forward(rows, width, element_of(x), x.const_data_ptr(), eps, y.mutable_data_ptr(),
                          saved == nullptr ? nullptr : mean.mutable_data_ptr<float>(),
                          saved == nullptr ? nullptr : inverse.mutable_data_ptr<float>());
  return y;
}

Tensor layer_norm_backward(const Tensor& x, double, const Saved& saved, const Tensor& d_y) {
  const Tensor d_x = at::empty_like(x);
  const std::int64_t width = x.size(-1);
  cpu::layer_norm_backward(x.numel() / width, width, element_of(x), x.const_data_ptr(),
                           saved[0].const_data_ptr<float>(), saved[1].const_data_ptr<float>(),
                           d_y.const_data_ptr(), d_x.mutable_data_ptr());
  return d_x;
}

Tensor add_layer_norm(Tensor& stream, const Tensor& added, double eps) {
  const Tensor y = at::empty_like(added);
  cpu::add_layer_norm(added.numel() / added.size(-1), added.size(-1), element_of(added),
                      stream.mutable_data_ptr<float>(), added.const_data_ptr(), eps, y.mutable_data_ptr());
  return y;
}

cpu::GroupNormShape group_norm_shape(const Tensor& x, std::int64_t groups, bool silu) {
  const std::int64_t batch = x.size(0), channels = x.size(-1);
  return {batch, x.numel() / (batch * channels), channels, groups, silu};
}

bool takes_group_norm(const Tensor& x, std::int64_t) {
  return takes_cpu_kernel(x);
}

Tensor group_norm_forward(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias,
                          double eps, bool silu, Saved* saved) {
  const Tensor y = at::empty_like(x), mean = at::empty({x.size(0), groups}, at::kFloat),
               inverse = at::empty_like(mean);
  cpu::group_norm_forward(group_norm_shape(x, groups, silu), element_of(x), x.const_data_ptr(),
                          weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), eps,
                          y.mutable_data_ptr(), mean.mutable_data_ptr<float>(),
                          inverse.mutable_data_ptr<float>());
  if (saved != nullptr) *saved = {mean, inverse};
  return y;
}

std::array<Tensor, 3> group_norm_backward(const Tensor& x, std::int64_t groups, const Tensor& weight,
                                          const Tensor& bias, double, bool silu, const Saved& saved,
                                          const Tensor& d_y) {
  const Tensor d_x = at::empty_like(x), d_weight = at::empty_like(weight), d_bias = at::empty_like(bias);
  cpu::group_norm_backward(group_norm_shape(x, groups, silu), element_of(x), x.const_data_ptr(),
                           weight.const_data_ptr<float>(), bias.const_data_ptr<float>(),
                           saved[0].const_data_ptr<float>(), saved[1].const_data_ptr<float>(),
                           d_y.const_data_ptr(), d_x.mutable_data_ptr(), d_weight.mutable_data_ptr<float>(),
                           d_bias.mutable_data_ptr<float>());
  return {d_x, d_weight, d_bias};
}

Tensor gelu(const Tensor& x) {
  const Tensor y = at::empty_like(x);
  cpu::gelu_forward(x.numel(), element_of(x), x.const_data_ptr(), y.mutable_data_ptr());
  return y;
}

Tensor gelu_backward(const Tensor& x, const Tensor& d_y) {
  const Tensor d_x = at::empty_like(x);
  cpu::gelu_backward(x.numel(), element_of(x), x.const_data_ptr(), d_y.const_data_ptr(),
                     d_x.mutable_data_ptr());
  return d_x;
}

Tensor upsample2(const Tensor& x) {
  const cpu::MapShape shape{x.size(0), x.size(1), x.size(2), x.size(3)};
  const Tensor y = at::empty({shape.batch, 2 * shape.height, 2 * shape.width, shape.channels}, x.options());
  cpu::upsample2_forward(shape, element_of(x), x.const_data_ptr(), y.mutable_data_ptr());
  return y;
}

Tensor upsample2_backward(const Tensor& d_y) {
  const cpu::MapShape shape{d_y.size(0), d_y.size(1) / 2, d_y.size(2) / 2, d_y.size(3)};
  const Tensor d_x = at::empty({shape.batch, shape.height, shape.width, shape.channels}, d_y.options());
  cpu::upsample2_backward(shape, element_of(d_y), d_y.const_data_ptr(), d_x.mutable_data_ptr());
  return d_x;
}

}  // namespace

const Backend& cpu_backend() {
  static constexpr Backend backend{
      {&takes_attention, &attention_forward, &attention_backward},
      {&takes_cpu_kernel, &layer_norm_forward, &layer_norm_backward, &add_layer_norm},
      {&takes_group_norm, &group_norm_forward, &group_norm_backward},
      {&takes_cpu_kernel, &gelu, &gelu_backward, &upsample2, &upsample2_backward}};
  return backend;
}

}  // namespace diffit::kernels
