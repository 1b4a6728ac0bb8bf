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
at::Tensor target_of(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& x0,
                     const at::Tensor& noise, const at::Tensor& t) {
  if (p.prediction == Prediction::eps) return noise;
  if (p.prediction == Prediction::x0) return x0;
  std::vector<double> of_x0, of_noise;
  for (std::int64_t i = 0; i < schedule.size(); ++i) {
    of_x0.push_back(p.target_x0(schedule.sigma(i)));
    of_noise.push_back(p.target_noise(schedule.sigma(i)));
  }
  return at_steps(of_x0, t, x0) * x0 + at_steps(of_noise, t, x0) * noise;
}

/// Term of the variational bound in nats per element, [B]. error: of the prediction, detached.
at::Tensor variational_bound(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& error,
                             const at::Tensor& v, const at::Tensor& x0, const at::Tensor& t) {
  // The true posterior and that of the model differ only in x_0: x_0 - x0_theta = sigma (eps_theta - noise).
  std::vector<double> error_of_x0, error_of_mean, log_beta;
  for (std::int64_t i = 0; i < schedule.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double of_noise = p.noise_error(schedule.sigma(i));  // 1 if the network predicts eps
    error_of_x0.push_back(schedule.sigma(i) * of_noise);
    error_of_mean.push_back(schedule.posterior_x0[at] * schedule.sigma(i) * of_noise);
    log_beta.push_back(std::log(schedule.beta[at]));
  }
  const at::Tensor low = at_steps(schedule.posterior_log_variance, t, x0), high = at_steps(log_beta, t, x0);
  const at::Tensor f = (v + 1) / 2;
  const at::Tensor log_variance = f * high + (1 - f) * low;

  const at::Tensor kl =
      gaussian_kl(at_steps(error_of_mean, t, x0) * error, low, at::zeros_like(low), log_variance);
  const at::Tensor bound = mean_of_sample(kl);  // L_{t-1}
  const at::Tensor first = t == 0;
  if (!first.any().item<bool>()) return bound;
  const at::Tensor likelihood =  // L_0
      discretised_log_likelihood(x0, at_steps(error_of_x0, t, x0) * error, 0.5 * log_variance);
  return at::where(first, -mean_of_sample(likelihood), bound);
}

}  // namespace

HybridLoss hybrid_loss(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& output,
                       const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t,
                       double vlb_weight) {
  const std::vector<at::Tensor> parts = output.chunk(p.learned_variance ? 2 : 1, 1);
  const at::Tensor target = target_of(p, schedule, x0, noise, t);
  HybridLoss loss;
  loss.mse = mean_of_sample((parts[0] - target).square());
  loss.per_sample = loss.mse;
  if (p.learned_variance) {
    const at::Tensor bound = variational_bound(p, schedule, parts[0].detach() - target, parts[1], x0, t);
    loss.vlb = bound / std::numbers::ln2;
    loss.per_sample = loss.mse + vlb_weight * loss.vlb;
  }
  loss.mean = loss.per_sample.mean();
  return loss;
}

}  // namespace diffit::diffusion
