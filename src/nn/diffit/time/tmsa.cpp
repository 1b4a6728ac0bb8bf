// H, DiffiT's own (eq. 3 to 5): q = x W_q + x_t W_qt, likewise k and v.
#include "kernels/ops.h"
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class TmsaTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site == TimeSite::attention) structure.linear("qkv_temb", shape.time_width, 3 * shape.width, 1);
  }
  at::Tensor attention_output(const WindowAttention& attention, const at::Tensor& x,
                              const at::Tensor& time) const override {
    return tmsa_attention(attention.qkv(x), layer(0)(time), attention.table, attention.heads,
                          attention.window);
  }
  AttentionParts attention_parts(const WindowAttention& attention, const at::Tensor& x,
                                 const at::Tensor& time) const override {
    at::Tensor map = attention.qkv(x);
    map = map + expand_to_map(layer(0)(time), map);
    AttentionParts parts = split_windows(map, attention.heads, attention.window);
    parts.bias = position_bias(attention.table, attention.window);
    return parts;
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant tmsa = time_variant<TmsaTime>("tmsa", TimeInAttention::qkv);
}

}  // namespace diffit::nn
