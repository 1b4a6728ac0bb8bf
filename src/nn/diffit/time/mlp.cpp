// G: fc2(gelu(fc1(x) + x_t W_m)); attention does not depend on time.
#include "kernels/ops.h"
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class MlpTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::mlp) return;
    structure.linear("temb", shape.time_width, shape.mlp_width(), 1);
    structure.elementwise("temb", shape.mlp_width(), shape.pixels);
  }
  at::Tensor mlp_activation(const Linear& fc1, const at::Tensor& x, const at::Tensor& time) const override {
    const at::Tensor hidden = fc1(x);
    return gelu_tanh(hidden + expand_to_map(layer(0)(time), hidden));
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant mlp = time_variant<MlpTime>("mlp", TimeInAttention::none);
}

}  // namespace diffit::nn
