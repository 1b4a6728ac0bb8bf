// ADM: Conv3x3(SiLU(GN(x) (1 + s) + b)), (s, b) = x_t W.
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class ScaleShiftTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::convolution) return;
    structure.linear("norm_temb", shape.time_width, 2 * shape.width, 1);
    structure.elementwise("norm_temb", 2 * shape.width, shape.pixels);
  }
  at::Tensor convolve(const GroupNorm& norm, const Conv2d& conv, const at::Tensor& x, const at::Tensor& time,
                      const Dropout& dropout) const override {
    const std::vector<at::Tensor> m = layer(0)(time).chunk(2, -1);
    return conv(apply_dropout(at::silu(modulate(norm(x, /*silu=*/false), m[0], m[1])), dropout));
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant scale_shift =
    time_variant<ScaleShiftTime>("scale_shift", TimeInAttention::none);
}

}  // namespace diffit::nn
