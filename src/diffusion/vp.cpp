#include "diffusion/vp.h"

#include <cmath>

#include "base/error.h"

namespace diffit::diffusion {

namespace {

/// Computes the schedule for given betas.
VpSchedule schedule_of(std::vector<std::int64_t> timesteps, std::vector<double> betas) {
  VpSchedule s;
  s.timesteps = std::move(timesteps);
  s.beta = std::move(betas);
  double product = 1;
  for (const double beta : s.beta) {
    const double before = product;
    product *= 1 - beta;
    s.alpha_bar.push_back(product);
    s.posterior_variance.push_back(beta * (1 - before) / (1 - product));
    s.posterior_x0.push_back(beta * std::sqrt(before) / (1 - product));
    s.posterior_xt.push_back((1 - before) * std::sqrt(1 - beta) / (1 - product));
  }
  for (std::size_t i = 0; i < s.beta.size(); ++i) {
    s.posterior_log_variance.push_back(std::log(s.posterior_variance[i == 0 ? 1 : i]));
  }
  return s;
}

}  // namespace

VpSchedule VpSchedule::linear(std::int64_t steps) {
  DIFFIT_CHECK(steps >= 2, "a schedule: wanted at least 2 steps, got {}", steps);
  const double scale = 1000 / static_cast<double>(steps);
  const double first = scale * 1e-4, last = scale * 0.02;
  const double distance = (last - first) / static_cast<double>(steps - 1);
  std::vector<std::int64_t> timesteps;
  std::vector<double> betas;
  for (std::int64_t i = 0; i < steps; ++i) {
    timesteps.push_back(i);
    betas.push_back(i == steps - 1 ? last : first + static_cast<double>(i) * distance);
  }
  return schedule_of(std::move(timesteps), std::move(betas));
}

VpSchedule VpSchedule::respaced(std::int64_t steps) const {
  DIFFIT_CHECK(steps >= 2 && steps <= size(), "respacing: wanted 2 to {} steps, got {}", size(), steps);
  const double stride = static_cast<double>(size() - 1) / static_cast<double>(steps - 1);
  std::vector<std::int64_t> indices;
  double place = 0;
  for (std::int64_t i = 0; i < steps; ++i, place += stride) {
    indices.push_back(static_cast<std::int64_t>(std::nearbyint(place)));  // ties round to even
  }
  return kept(indices);
}

VpSchedule VpSchedule::kept(const std::vector<std::int64_t>& indices) const {
  std::vector<std::int64_t> kept_timesteps;
  std::vector<double> betas;
  double before = 1;
  for (const std::int64_t i : indices) {
    const double now = alpha_bar[static_cast<std::size_t>(i)];
    kept_timesteps.push_back(timesteps[static_cast<std::size_t>(i)]);
    betas.push_back(1 - now / before);
    before = now;
  }
  return schedule_of(std::move(kept_timesteps), std::move(betas));
}

double VpSchedule::sigma(std::int64_t i) const {
  const double a = alpha_bar[static_cast<std::size_t>(i)];
  return std::sqrt((1 - a) / a);
}

at::Tensor VpSchedule::log_variance(const at::Tensor& v, std::int64_t i) const {
  const double high = std::log(beta[static_cast<std::size_t>(i)]);
  const double low = posterior_log_variance[static_cast<std::size_t>(i)];
  return v * (0.5 * (high - low)) + 0.5 * (high + low);
}

std::int64_t nearest_step(const VpSchedule& schedule, double sigma) {
  std::int64_t below = 0, above = schedule.size() - 1;  // sigma increases with the index
  while (above - below > 1) {
    const std::int64_t middle = (below + above) / 2;
    (schedule.sigma(middle) <= sigma ? below : above) = middle;
  }
  return std::abs(schedule.sigma(below) - sigma) <= std::abs(schedule.sigma(above) - sigma) ? below : above;
}

at::Tensor table_of(const std::vector<double>& values, const at::Tensor& like) {
  const at::Tensor table = at::from_blob(const_cast<double*>(values.data()),
                                         {static_cast<std::int64_t>(values.size())}, at::kDouble);
  return table.to(like.scalar_type(), /*non_blocking=*/false, /*copy=*/true).to(like.device());
}

at::Tensor at_steps(const std::vector<double>& values, const at::Tensor& t, const at::Tensor& like) {
  return at_steps(table_of(values, like), t, like);
}

at::Tensor at_steps(const at::Tensor& values, const at::Tensor& t, const at::Tensor& like) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[0] = -1;
  return values.index_select(0, t).reshape(shape);
}

at::Tensor noised(const VpSchedule& schedule, const at::Tensor& x0, const at::Tensor& noise,
                  const at::Tensor& t) {
  std::vector<double> signal, deviation;
  for (const double a : schedule.alpha_bar) {
    signal.push_back(std::sqrt(a));
    deviation.push_back(std::sqrt(1 - a));
  }
  return noised(table_of(signal, x0), table_of(deviation, x0), x0, noise, t);
}

at::Tensor noised(const at::Tensor& signal, const at::Tensor& deviation, const at::Tensor& x0,
                  const at::Tensor& noise, const at::Tensor& t) {
  return at::addcmul(at_steps(signal, t, x0) * x0, at_steps(deviation, t, x0), noise);
}

}  // namespace diffit::diffusion
