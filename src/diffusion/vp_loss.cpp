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

HybridLoss hybrid_loss(const VpSchedule& schedule, const at::Tensor& output, const at::Tensor& x0,
                       const at::Tensor& noise, const at::Tensor& t, double vlb_weight) {
  const std::vector<at::Tensor> halves = output.chunk(2, 1);
  const at::Tensor &eps = halves[0], &v = halves[1];

  // The true posterior and the model's differ only in x_0: x_0 - x0_theta = sigma (eps_theta - noise).
  std::vector<double> sigma, error_of_mean, log_beta;
  for (std::int64_t i = 0; i < schedule.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    sigma.push_back(schedule.sigma(i));
    error_of_mean.push_back(schedule.posterior_x0[at] * schedule.sigma(i));
    log_beta.push_back(std::log(schedule.beta[at]));
  }
  const at::Tensor error = eps.detach() - noise;
  const at::Tensor low = at_steps(schedule.posterior_log_variance, t, x0), high = at_steps(log_beta, t, x0);
  const at::Tensor f = (v + 1) / 2;
  const at::Tensor log_variance = f * high + (1 - f) * low;

  const at::Tensor kl =
      gaussian_kl(at_steps(error_of_mean, t, x0) * error, low, at::zeros_like(low), log_variance);
  at::Tensor bound = mean_of_sample(kl);  // L_{t-1}
  const at::Tensor first = t == 0;
  if (first.any().item<bool>()) {  // L_0
    const at::Tensor likelihood =
        discretised_log_likelihood(x0, at_steps(sigma, t, x0) * error, 0.5 * log_variance);
    bound = at::where(first, -mean_of_sample(likelihood), bound);
  }

  HybridLoss loss;
  loss.mse = mean_of_sample((eps - noise).square());
  loss.vlb = bound / std::numbers::ln2;
  loss.per_sample = loss.mse + vlb_weight * loss.vlb;
  loss.mean = loss.per_sample.mean();
  return loss;
}

}  // namespace diffit::diffusion
