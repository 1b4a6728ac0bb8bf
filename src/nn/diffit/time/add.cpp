// DDPM: Conv3x3(SiLU(GN(x))) + x_t W at each pixel.
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace {

class AddTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site == TimeSite::convolution) structure.linear("add_temb", shape.time_width, shape.width, 1);
  }
  at::Tensor convolve(const GroupNorm& norm, const Conv2d& conv, const at::Tensor& x, const at::Tensor& time,
                      const Dropout& dropout) const override {
    const at::Tensor y = TimeConditioning::convolve(norm, conv, x, time, dropout);
    return y + expand_to_map(layer(0)(time), y);
  }
};

}  // namespace

namespace time_variants {
extern constinit const TimeVariant add = time_variant<AddTime>("add", TimeInAttention::none);
}

}  // namespace diffit::nn
