#include "diffusion/guidance.h"

#include <cmath>
#include <numbers>

namespace diffit {

double Guidance::scale_at(double t, double steps) const {
  if (!power_cosine) return scale;
  const double ramp = 0.5 * (1 - std::cos(std::numbers::pi * std::pow(1 - t / steps, power)));
  return (scale - 1) * ramp + 1;
}

at::Tensor guided(const Guidance& guidance, const at::Tensor& conditional, const at::Tensor& unconditional,
                  const at::Tensor& scale) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(conditional.dim()), 1);
  shape[0] = -1;
  const at::Tensor all = unconditional + scale.reshape(shape) * (conditional - unconditional);
  const std::int64_t channels = conditional.size(1);
  if (guidance.channels == 0 || guidance.channels >= channels) return all;
  return at::cat({all.narrow(1, 0, guidance.channels),
                  conditional.narrow(1, guidance.channels, channels - guidance.channels)},
                 1);
}

}  // namespace diffit
