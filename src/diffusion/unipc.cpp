#include "diffusion/unipc.h"

#include <cmath>

#include "diffusion/samplers.h"

namespace diffit::diffusion {

namespace {

/// Step from lambda_0 to lambda_0 + h: x' = ratio x - alpha phi_1 m_0 - alpha B (higher-order terms).
struct Step {
  double ratio, alpha, phi_1;  // sigma'/sigma of the VP view, alpha', and phi_1 = B(h) = expm1(-h) (bh2)
  double r_1;                  // (lambda_{-1} - lambda_0) / h
  int order;
  double b_1, b_2;  // phi_2 / B and 2 phi_3 / B

  Step(double a, double a_next, double h, double h_before, int of_order)
      : ratio(std::sqrt((1 - a_next) / (1 - a))),
        alpha(std::sqrt(a_next)),
        phi_1(std::expm1(-h)),
        r_1(-h_before / h),
        order(of_order) {
    const double phi_2 = phi_1 / -h - 1, phi_3 = phi_2 / -h - 0.5;
    b_1 = phi_2 / phi_1;
    b_2 = 2 * phi_3 / phi_1;
  }

  at::Tensor base(const at::Tensor& x, const at::Tensor& m_0) const {
    return ratio * x - alpha * phi_1 * m_0;
  }

  /// UniP: rho_1 = 1/2 for order 2.
  at::Tensor predict(const at::Tensor& x, const at::Tensor& m_0, const at::Tensor& m_1) const {
    if (order == 1) return base(x, m_0);
    return base(x, m_0) - alpha * phi_1 * 0.5 * ((m_1 - m_0) / r_1);
  }

  /// UniC: R rho = b with R = (1, 1; r_1, 1); rho = 1/2 for order 1. m: x_0 at the predicted point.
  at::Tensor correct(const at::Tensor& x, const at::Tensor& m_0, const at::Tensor& m_1,
                     const at::Tensor& m) const {
    if (order == 1) return base(x, m_0) - alpha * phi_1 * 0.5 * (m - m_0);
    const double rho_1 = (b_1 - b_2) / (1 - r_1), rho_2 = b_1 - rho_1;
    return base(x, m_0) - alpha * phi_1 * (rho_1 * ((m_1 - m_0) / r_1) + rho_2 * (m - m_0));
  }
};

}  // namespace

at::Tensor unipc(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                 const std::vector<std::int64_t>& grid, const StepProgress& progress) {
  const auto steps = static_cast<std::int64_t>(grid.size());
  at::Tensor x = noise.to(at::kDouble), x_before, m_0, m_1;  // x_0 at this point and at the previous one
  std::optional<Step> step;                                  // the step that led to this point
  double h = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t t = grid[static_cast<std::size_t>(i)];
    const double a = schedule.alpha_bar[static_cast<std::size_t>(t)];
    const at::Tensor m = x0_of(x, network(x, t).eps, a);
    if (step) x = step->correct(x_before, m_0, m_1, m);
    m_1 = m_0;
    m_0 = m;
    if (i + 1 == steps) {
      x = m_0;
    } else {
      const std::int64_t next = grid[static_cast<std::size_t>(i) + 1];
      const double a_next = schedule.alpha_bar[static_cast<std::size_t>(next)];
      const double h_before = std::exchange(h, std::log(schedule.sigma(t) / schedule.sigma(next)));
      step.emplace(a, a_next, h, h_before, i == 0 ? 1 : 2);
      x_before = x;
      x = step->predict(x_before, m_0, m_1);
    }
    if (progress) progress(i + 1, steps);
  }
  return x;
}

extern const Sampler sampler_unipc;
const Sampler sampler_unipc{
    .id = SamplerId::unipc,
    .name = "unipc",
    .title = "UniPC",
    .source = "Zhao 2023",
    .usual_steps = 12,
    .most_steps = 1000,
    .uses_spacing = true,
    .noisy_steps = [](const SamplerGrid& g) -> std::int64_t {
      g.grid();
      return 0;
    },
    .run =
        [](const SamplerInput& in) {
          return unipc(in.network, in.start, *in.timesteps, in.grid(), in.progress);
        },
};

}  // namespace diffit::diffusion
