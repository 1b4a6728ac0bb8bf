// One additional key and value in each window, x_t W_k and x_t W_v, with position bias 0.
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class TokensTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::attention) return;
    const std::int64_t keys = shape.window * shape.window + 1;
    structure.linear("kv_temb", shape.time_width, 2 * shape.width, 1);
    structure.attention("token", shape.width, shape.pixels, 1);
    // Attention probabilities are kept only without the fused kernel, which recomputes them.
    structure.elementwise("probabilities", shape.heads * keys, shape.pixels);
  }
  at::Tensor attention_output(const WindowAttention& attention, const at::Tensor& x,
                              const at::Tensor& time) const override {
    return attend(attention_parts(attention, x, time), x.size(1), x.size(2));
  }
  AttentionParts attention_parts(const WindowAttention& attention, const at::Tensor& x,
                                 const at::Tensor& time) const override {
    AttentionParts parts = TimeConditioning::attention_parts(attention, x, time);
    const std::vector<at::Tensor> token = layer(0)(time).chunk(2, -1);
    append_token(parts, token[0], token[1]);
    return parts;
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant tokens =
    time_variant<TokensTime>("tokens", TimeInAttention::probabilities);
}

}  // namespace diffit::nn
