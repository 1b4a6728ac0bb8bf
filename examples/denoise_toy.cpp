// Uses the EDM sampler with a custom denoiser: the exact denoiser of a Gaussian, sampled with Heun's method.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "diffusion/sampler.h"

int main() {
  using namespace diffit::training;
  constexpr double kDeviation = 0.5;
  // D(x; sigma) = E[y | y + n = x] for y ~ N(0, 0.5^2).
  const Denoiser denoise = [](const at::Tensor& x, double sigma) {
    return x * (kDeviation * kDeviation / (kDeviation * kDeviation + sigma * sigma));
  };
  const at::Tensor noise = at::randn({100000}, at::TensorOptions(at::kDouble));
  for (const int steps : {4, 8, 18, 36}) {
    const at::Tensor x = heun(denoise, noise, karras_sigmas(steps), Churn{}, {});
    fmt::print("{:2} steps: deviation {:.4f}, wanted {}\n", steps, x.std().item<double>(), kDeviation);
  }
}
