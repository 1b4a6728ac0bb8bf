// After attention, x += CA(LN(x)): queries from x, keys and values from kTokens tokens computed from x_t.
#include <cmath>

#include "kernels/ops.h"
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

/// Number of tokens. A single token would get attention 1 from every query.
constexpr std::int64_t kTokens = 4;

class CrossAttentionTime final : public TimeConditioning {
 public:
  CrossAttentionTime(const TimeVariant& variant, const BlockShape& shape)
      : TimeConditioning(variant, shape), heads_(shape.heads) {}

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::cross) return;
    structure.linear("cross.q", shape.width, shape.width, shape.pixels);
    structure.linear("cross.kv_temb", shape.time_width, 2 * kTokens * shape.width, 1);
    structure.linear("cross.proj", shape.width, shape.width, shape.pixels);
    structure.attention("cross", shape.width, shape.pixels, kTokens);
    structure.elementwise("cross", 2 * shape.width, shape.pixels);
  }
  at::Tensor transform(const Block& block, const at::Tensor& x, const at::Tensor& time) const override {
    at::Tensor attended = x + block.attn(layer_norm(x, kLayerNormEps), time);
    attended = attended + cross(layer_norm(attended, kLayerNormEps), time);
    return attended + block.mlp(layer_norm(attended, kLayerNormEps), time);
  }

 private:
  at::Tensor cross(const at::Tensor& x, const at::Tensor& time) const {
    const Linear &q = layer(0), &kv_temb = layer(1), &proj = layer(2);  // kv_temb: all keys, then all values
    const std::int64_t batch = x.size(0), width = x.size(3), d = width / heads_;
    const at::Tensor queries = q(x).reshape({batch, -1, heads_, d}).transpose(1, 2);
    const at::Tensor tokens = kv_temb(time)
                                  .to(queries.scalar_type())
                                  .reshape({batch, 2, kTokens, heads_, d})
                                  .permute({1, 0, 3, 2, 4});  // [2, B, heads, kTokens, d]
    const at::Tensor scores = at::matmul(queries, tokens[0].transpose(-2, -1)) / std::sqrt(d);
    const at::Tensor mixed = at::matmul(scores.softmax(-1).to(queries.scalar_type()), tokens[1]);
    return proj(mixed.transpose(1, 2).reshape(x.sizes()));
  }

  std::int64_t heads_;
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant cross_attention =
    time_variant<CrossAttentionTime>("cross_attention", TimeInAttention::none);
}

}  // namespace diffit::nn
