#include "nn/diffit/time_paths.h"

#include <cmath>

#include "kernels/ops.h"
#include "nn/diffit/block.h"

namespace diffit::nn {

at::Tensor at_every_pixel(const at::Tensor& time, const at::Tensor& x) {
  return time.to(x.scalar_type())
      .unsqueeze(1)
      .unsqueeze(1)
      .expand({x.size(0), x.size(1), x.size(2), time.size(-1)});
}

at::Tensor scale_and_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  return at::addcmul(at_every_pixel(shift, x), x, at_every_pixel(1 + scale, x));
}

at::Tensor Modulation::normalised(const at::Tensor& x) const {
  return scale_and_shift(layer_norm(x, kLayerNormEps), scale, shift);
}

at::Tensor Modulation::gated(const at::Tensor& branch) const {
  return gate.defined() ? branch * at_every_pixel(gate, branch) : branch;
}

AdaptiveLayerNorm::AdaptiveLayerNorm(std::int64_t width, std::int64_t time_width, bool zero_)
    : modulation(time_width, (zero_ ? 6 : 4) * width), zero(zero_) {}

std::pair<Modulation, Modulation> AdaptiveLayerNorm::operator()(const at::Tensor& time) const {
  const std::vector<at::Tensor> m = modulation(at::silu(time)).chunk(zero ? 6 : 4, -1);
  if (zero) return {{m[0], m[1], m[2]}, {m[3], m[4], m[5]}};
  return {{m[0], m[1], {}}, {m[2], m[3], {}}};
}

void AdaptiveLayerNorm::add_to(ParameterList& list, const std::string& prefix) const {
  modulation.add_to(list, prefix + ".modulation", zero ? Initializer::zero : Initializer::xavier_uniform);
}

CrossAttention::CrossAttention(std::int64_t width, std::int64_t time_width, std::int64_t heads_)
    : q(width, width), kv_temb(time_width, 2 * kTimeTokens * width), proj(width, width), heads(heads_) {}

at::Tensor CrossAttention::operator()(const at::Tensor& x, const at::Tensor& time) const {
  const std::int64_t batch = x.size(0), width = x.size(3), d = width / heads;
  const at::Tensor queries = q(x).reshape({batch, -1, heads, d}).transpose(1, 2);
  const at::Tensor tokens = kv_temb(time)
                                .to(queries.scalar_type())
                                .reshape({batch, 2, kTimeTokens, heads, d})
                                .permute({1, 0, 3, 2, 4});  // [2, B, heads, kTimeTokens, d]
  const at::Tensor scores = at::matmul(queries, tokens[0].transpose(-2, -1)) / std::sqrt(d);
  const at::Tensor mixed = at::matmul(scores.softmax(-1).to(queries.scalar_type()), tokens[1]);
  return proj(mixed.transpose(1, 2).reshape(x.sizes()));
}

void CrossAttention::add_to(ParameterList& list, const std::string& prefix) const {
  q.add_to(list, prefix + ".q");
  kv_temb.add_to(list, prefix + ".kv_temb");
  proj.add_to(list, prefix + ".proj");
}

}  // namespace diffit::nn
