// F: the position bias is B(x_t) = table + x_t W_b, one number for each head and offset; q, k and v do not
// depend on time.
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class PositionBiasTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::attention) return;
    structure.linear("bias_temb", shape.time_width, shape.offsets() * shape.heads, 1, /*bias=*/true,
                     Initializer::truncated_002);
    // Attention probabilities are kept only without the fused kernel, which recomputes them.
    structure.elementwise("probabilities", shape.heads * shape.window * shape.window, shape.pixels);
  }
  at::Tensor attention_output(const WindowAttention& attention, const at::Tensor& x,
                              const at::Tensor& time) const override {
    return attend(attention_parts(attention, x, time), x.size(1), x.size(2));
  }
  AttentionParts attention_parts(const WindowAttention& attention, const at::Tensor& x,
                                 const at::Tensor& time) const override {
    const at::Tensor& table = attention.table;
    AttentionParts parts = split_windows(attention.qkv(x), attention.heads, attention.window);
    parts.bias =
        position_bias(table + layer(0)(time).reshape({-1, table.size(0), attention.heads}), attention.window);
    return parts;
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant position_bias =
    time_variant<PositionBiasTime>("position_bias", TimeInAttention::probabilities);
}

}  // namespace diffit::nn
