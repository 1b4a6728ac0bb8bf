#include "diffusion/vp_loss.h"

#include <cmath>
#include <numbers>

namespace diffit::diffusion {

namespace {

at::Tensor mean_of_sample(const at::Tensor& x) {
  return x.flatten(1).mean(1);
}

/// Approximation of the normal cumulative distribution function.
at::Tensor normal_cdf(const at::Tensor& x) {
  return 0.5 * (1 + at::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x.pow(3))));
}

}  // namespace

at::Tensor gaussian_kl(const at::Tensor& mean_1, const at::Tensor& log_variance_1, const at::Tensor& mean_2,
                       const at::Tensor& log_variance_2) {
  return 0.5 * (log_variance_2 - log_variance_1 + at::exp(log_variance_1 - log_variance_2) +
                (mean_1 - mean_2).square() * at::exp(-log_variance_2) - 1);
}

at::Tensor discretised_log_likelihood(const at::Tensor& x, const at::Tensor& centred,
                                      const at::Tensor& log_deviation) {
  constexpr double kHalfBin = 1.0 / 255, kLeast = 1e-12;
  const at::Tensor inverse = at::exp(-log_deviation);
  const at::Tensor below_upper = normal_cdf((centred + kHalfBin) * inverse);
  const at::Tensor below_lower = normal_cdf((centred - kHalfBin) * inverse);
  const at::Tensor inside =
      at::where(x < -0.999, below_upper, at::where(x > 0.999, 1 - below_lower, below_upper - below_lower));
  return inside.clamp_min(kLeast).log();
}

namespace {

/// Returns the target of the prediction.
at::Tensor target_of(const Parameterisation& p, const VpLossTables& tables, const at::Tensor& x0,
                     const at::Tensor& noise, const at::Tensor& t) {
  if (p.prediction == Prediction::eps) return noise;
  if (p.prediction == Prediction::x0) return x0;
  return at_steps(tables.target_x0, t, x0) * x0 + at_steps(tables.target_noise, t, x0) * noise;
}

/// Term of the variational bound in nats per element, [B]. error: of the prediction, detached.
at::Tensor variational_bound(const VpLossTables& tables, const at::Tensor& error, const at::Tensor& v,
                             const at::Tensor& x0, const at::Tensor& t) {
  const at::Tensor low = at_steps(tables.log_low, t, x0), high = at_steps(tables.log_high, t, x0);
  const at::Tensor f = (v + 1) / 2;
  const at::Tensor log_variance = f * high + (1 - f) * low;

  const at::Tensor kl =
      gaussian_kl(at_steps(tables.mean_error, t, x0) * error, low, at::zeros_like(low), log_variance);
  const at::Tensor bound = mean_of_sample(kl);  // L_{t-1}
  const at::Tensor first = t == 0;
  // A GPU computes L_0 always: to ask whether it is needed would be to wait.
  if (t.is_cpu() && !first.any().item<bool>()) return bound;
  const at::Tensor likelihood =  // L_0
      discretised_log_likelihood(x0, at_steps(tables.x0_error, t, x0) * error, 0.5 * log_variance);
  return at::where(first, -mean_of_sample(likelihood), bound);
}

}  // namespace

VpLossTables::VpLossTables(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& like) {
  std::vector<double> of_signal, of_deviation, of_x0, of_noise, of_x0_error, of_mean_error, log_beta;
  for (std::int64_t i = 0; i < schedule.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double sigma = schedule.sigma(i), abar = schedule.alpha_bar[at];
    of_signal.push_back(std::sqrt(abar));
    of_deviation.push_back(std::sqrt(1 - abar));
    of_x0.push_back(p.target_x0(sigma));
    of_noise.push_back(p.target_noise(sigma));
    // The true posterior and that of the model differ only in x_0: x_0 - x0_theta = sigma (eps_theta -
    // noise).
    const double noise_error = p.noise_error(sigma);  // 1 if the network predicts eps
    of_x0_error.push_back(sigma * noise_error);
    of_mean_error.push_back(schedule.posterior_x0[at] * sigma * noise_error);
    log_beta.push_back(std::log(schedule.beta[at]));
  }
  signal = table_of(of_signal, like);
  deviation = table_of(of_deviation, like);
  target_x0 = table_of(of_x0, like);
  target_noise = table_of(of_noise, like);
  x0_error = table_of(of_x0_error, like);
  mean_error = table_of(of_mean_error, like);
  log_low = table_of(schedule.posterior_log_variance, like);
  log_high = table_of(log_beta, like);
}

HybridLoss hybrid_loss(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& output,
                       const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t,
                       double vlb_weight) {
  return hybrid_loss(p, VpLossTables(p, schedule, output), output, x0, noise, t, vlb_weight);
}

HybridLoss hybrid_loss(const Parameterisation& p, const VpLossTables& tables, const at::Tensor& output,
                       const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t,
                       double vlb_weight) {
  const std::vector<at::Tensor> parts = output.chunk(p.learned_variance ? 2 : 1, 1);
  const at::Tensor target = target_of(p, tables, x0, noise, t);
  HybridLoss loss;
  loss.mse = mean_of_sample((parts[0] - target).square());
  loss.per_sample = loss.mse;
  if (p.learned_variance) {
    const at::Tensor bound = variational_bound(tables, parts[0].detach() - target, parts[1], x0, t);
    loss.vlb = bound / std::numbers::ln2;
    loss.per_sample = loss.mse + vlb_weight * loss.vlb;
  }
  loss.mean = loss.per_sample.mean();
  return loss;
}

}  // namespace diffit::diffusion
