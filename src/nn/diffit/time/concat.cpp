// Conv3x3 of [SiLU(GN(x)), x_t W at each pixel], with C / 4 additional channels.
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class ConcatTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static std::int64_t convolution_inputs(const BlockShape& shape) { return shape.width + shape.width / 4; }
  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::convolution) return;
    structure.linear("concat_temb", shape.time_width, shape.width / 4, 1);
    structure.elementwise("concat_temb", convolution_inputs(shape), shape.pixels);
  }
  at::Tensor convolve(const GroupNorm& norm, const Conv2d& conv, const at::Tensor& x, const at::Tensor& time,
                      const Dropout& dropout) const override {
    const at::Tensor active = apply_dropout(norm(x, /*silu=*/true), dropout);
    return conv(at::cat({active, expand_to_map(layer(0)(time), active)}, -1));
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant concat = time_variant<ConcatTime>("concat", TimeInAttention::none);
}

}  // namespace diffit::nn
