#include "nn/vae/vae_layers.h"

#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::nn {

VaeResBlock::VaeResBlock(std::int64_t in, std::int64_t out, std::int64_t groups)
    : norm1(in, groups, kVaeNormEps), norm2(out, groups, kVaeNormEps), conv1(in, out, 3), conv2(out, out, 3) {
  if (in != out) conv_shortcut = Conv2d(in, out, 1);
}

at::Tensor VaeResBlock::shortcut(const at::Tensor& x) const {
  return conv_shortcut ? (*conv_shortcut)(x) : x;
}

at::Tensor VaeResBlock::operator()(const at::Tensor& x) const {
  return shortcut(x) + conv2(norm2(conv1(norm1(x, /*silu=*/true)), /*silu=*/true));
}

void VaeResBlock::add_to(ParameterList& list, const std::string& prefix) const {
  norm1.add_to(list, prefix + ".norm1");
  conv1.add_to(list, prefix + ".conv1");
  norm2.add_to(list, prefix + ".norm2");
  conv2.add_to(list, prefix + ".conv2");
  if (conv_shortcut) conv_shortcut->add_to(list, prefix + ".conv_shortcut");
}

VaeAttention::VaeAttention(std::int64_t width, std::int64_t groups)
    : group_norm(width, groups, kVaeNormEps),
      to_q(width, width),
      to_k(width, width),
      to_v(width, width),
      to_out(width, width) {}

at::Tensor VaeAttention::operator()(const at::Tensor& x) const {
  const std::int64_t batch = x.size(0), width = x.size(3);
  const at::Tensor tokens = group_norm(x, /*silu=*/false).reshape({batch, 1, -1, width});  // one head
  const at::Tensor mixed = at::scaled_dot_product_attention(to_q(tokens), to_k(tokens), to_v(tokens));
  return x + to_out(mixed).reshape(x.sizes());
}

void VaeAttention::add_to(ParameterList& list, const std::string& prefix) const {
  group_norm.add_to(list, prefix + ".group_norm");
  to_q.add_to(list, prefix + ".to_q");
  to_k.add_to(list, prefix + ".to_k");
  to_v.add_to(list, prefix + ".to_v");
  to_out.add_to(list, prefix + ".to_out.0");
}

VaeMidBlock::VaeMidBlock(std::int64_t width, std::int64_t groups)
    : first(width, width, groups), second(width, width, groups), attention(width, groups) {}

at::Tensor VaeMidBlock::operator()(const at::Tensor& x) const {
  return second(attention(first(x)));
}

void VaeMidBlock::add_to(ParameterList& list, const std::string& prefix) const {
  attention.add_to(list, prefix + ".attentions.0");
  first.add_to(list, prefix + ".resnets.0");
  second.add_to(list, prefix + ".resnets.1");
}

at::Tensor downsample(const Conv2d& conv, const at::Tensor& x) {
  // conv pads by one on every side. With one more row of zeros on every side, row k of its result covers rows
  // 2k - 2 to 2k of x; without its first row and column, the result has the padding described in the header.
  const at::Tensor y = conv(at::constant_pad_nd(x, {0, 0, 1, 1, 1, 1}));
  return y.narrow(1, 1, x.size(1) / 2).narrow(2, 1, x.size(2) / 2).contiguous();
}

at::Tensor upsample(const Conv2d& conv, const at::Tensor& x) {
  return conv(upsample2(x));
}

}  // namespace diffit::nn
