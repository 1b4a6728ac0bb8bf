#include "diffusion/known_part.h"

#include <cmath>

namespace diffit::diffusion {

LevelNetwork with_known_part(LevelNetwork network, const KnownPart& known, at::Device device, bool discrete) {
  if (!known.x0.defined()) return network;
  const at::Tensor x0 = known.x0.to(device).to(at::kDouble), mask = known.mask.to(device);
  return [network = std::move(network), x0, mask, discrete](const at::Tensor& x, const NoiseLevel& level,
                                                            const at::Tensor& labels) {
    NetworkOutput output = network(x, level, labels);
    if (!discrete) {
      output.value = at::where(mask, output.value, x0);
      return output;
    }
    // x_t = alpha x_0 + s eps with alpha = 1 / sqrt(1 + sigma^2), s = sigma alpha.
    const double alpha = 1 / std::sqrt(1 + level.sigma * level.sigma);
    output.value = at::where(mask, output.value, (x.to(at::kDouble) - alpha * x0) / (level.sigma * alpha));
    return output;
  };
}

}  // namespace diffit::diffusion
