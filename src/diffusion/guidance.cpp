#include "diffusion/guidance.h"

#include <cmath>
#include <numbers>

namespace diffit::diffusion {

double Guidance::scale_at(double t, double steps) const {
  if (!power_cosine) return scale;
  const double ramp = 0.5 * (1 - std::cos(std::numbers::pi * std::pow(1 - t / steps, power)));
  return (scale - 1) * ramp + 1;
}

double Guidance::scale_at(const NoiseLevel& level) const {
  bool inside = true;
  switch (axis) {
    case Axis::sigma:
      inside = low < level.sigma && level.sigma <= high;
      break;
    case Axis::timestep:
      inside = low <= level.t && level.t <= high;
      break;
    case Axis::step:
      inside = low <= level.step && level.step < high;
      break;
  }
  return inside ? scale_at(level.t, 1000) : 1;
}

bool Guidance::counts(double scale_there) const {
  return std::abs(scale_there - 1) > tolerance;
}

at::Tensor guided(const Guidance& guidance, const at::Tensor& main, const at::Tensor& weak,
                  const at::Tensor& scale) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(main.dim()), 1);
  shape[0] = -1;
  const at::Tensor all = weak + scale.reshape(shape) * (main - weak);
  const std::int64_t channels = main.size(1);
  if (guidance.channels == 0 || guidance.channels >= channels) return all;
  return at::cat(
      {all.narrow(1, 0, guidance.channels), main.narrow(1, guidance.channels, channels - guidance.channels)},
      1);
}

}  // namespace diffit::diffusion
