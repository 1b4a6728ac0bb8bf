// End-to-end test of training and sampling on a problem with a known answer: a mixture of two-dimensional
// Gaussians.
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/edm.h"
#include "diffusion/sampler.h"
#include "nn/layers/layers.h"

namespace diffit::diffusion {
namespace {

constexpr std::int64_t kModes = 4;
constexpr double kSpread = 0.1;

/// Centers [4, 2] on a circle. The standard deviation of each coordinate is 0.5, EDM's sigma_data.
at::Tensor centres() {
  const double radius = std::sqrt(2 * (0.25 - kSpread * kSpread));
  const at::Tensor angle = at::arange(kModes, at::kDouble) * (2 * M_PI / kModes);
  return at::stack({angle.cos(), angle.sin()}, 1) * radius;
}

/// E[y | y + n = x] for the mixture: the denoiser that training should converge to.
at::Tensor exact_denoiser(const at::Tensor& x, double sigma) {
  const double variance = kSpread * kSpread + sigma * sigma;
  const at::Tensor mu = centres().to(x.scalar_type());
  const at::Tensor distance = (x.unsqueeze(1) - mu).square().sum(-1);
  const at::Tensor weight = at::softmax(-distance / (2 * variance), 1);
  const at::Tensor mean = weight.mm(mu);
  return mean + (x - mean) * (kSpread * kSpread / variance);
}

at::Tensor draw(std::int64_t count, at::Generator& g) {
  const at::Tensor mode = at::randint(kModes, {count}, g, at::TensorOptions(at::kLong));
  return (centres().index_select(0, mode) +
          kSpread * at::randn({count, 2}, g, at::TensorOptions(at::kDouble)))
      .to(at::kFloat);
}

/// Sliced Wasserstein-1 distance: the mean over 64 directions of the distance between sorted projections.
double sliced_distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor angle = at::arange(64, at::kDouble) * (M_PI / 64);
  const at::Tensor direction = at::stack({angle.cos(), angle.sin()});
  const auto project = [&](const at::Tensor& x) {
    return std::get<0>(x.to(at::kDouble).mm(direction).sort(0));
  };
  return (project(a) - project(b)).abs().mean().item<double>();
}

/// A small network F(x, c_noise): Fourier features and two hidden layers of width 128.
struct ToyNetwork {
  Linear in{2 + 16 + 16, 128}, middle{128, 128}, out{128, 2};
  ParameterList parameters;

  ToyNetwork() {
    in.add_to(parameters, "in");
    middle.add_to(parameters, "middle");
    out.add_to(parameters, "out", Initializer::zero);
    initialise(parameters, 11);
  }
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& c_noise) const {
    const at::Tensor time = c_noise.unsqueeze(1) * at::pow(2.0, at::arange(8, at::kFloat) / 2 - 1);
    const at::Tensor place = (x.unsqueeze(2) * at::pow(2.0, at::arange(4, at::kFloat) - 1)).flatten(1);
    const at::Tensor features = at::cat({x, place.cos(), place.sin(), time.cos(), time.sin()}, 1);
    return out(at::silu(middle(at::silu(in(features)))));
  }
};

constexpr std::int64_t kSamples = 4096;

at::Tensor sample(const Denoiser& denoiser, at::Generator& g) {
  const at::Tensor noise = at::randn({kSamples, 2}, g, at::TensorOptions(at::kDouble));
  return heun(denoiser, noise, karras_sigmas(18), {}, {}, {});
}

// Two independent draws of 4096 points from the mixture are at a distance of 0.01, and so are samples of the
// exact denoiser; a Gaussian with the same standard deviation is at 0.09.
TEST(Toy, ExactDenoiserSamplesMixture) {
  at::Generator g = at::detail::createCPUGenerator(1);
  const at::Tensor truth = draw(kSamples, g);
  EXPECT_LT(sliced_distance(sample(exact_denoiser, g), truth), 0.03);
  EXPECT_GT(sliced_distance(0.5 * at::randn({kSamples, 2}, g, at::TensorOptions(at::kDouble)), truth), 0.06);
}

TEST(Toy, TrainingLearnsMixture) {
  at::Generator g = at::detail::createCPUGenerator(2);
  const ToyNetwork network;
  const Parameterisation p;
  std::vector<at::Tensor> weights, first, second, steps;
  for (const Parameter& q : network.parameters.trained()) {
    weights.push_back(q.tensor.requires_grad_());
    first.push_back(at::zeros_like(q.tensor).detach());
    second.push_back(at::zeros_like(q.tensor).detach());
    steps.push_back(at::zeros({}));
  }
  Random random(3, stream_of(Purpose::test));
  const RawNetwork raw = [&](const at::Tensor& x, const at::Tensor& c) { return network(x, c); };
  constexpr int kSteps = 2000;
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor y = draw(256, g), sigma = at::empty({256});
    for (float& s : std::span(sigma.mutable_data_ptr<float>(), 256)) {
      s = static_cast<float>(NoiseDistribution{}.sigma(random));
    }
    const at::Tensor n = at::randn({256, 2}, g, at::TensorOptions(at::kFloat)) * sigma.unsqueeze(1);
    edm_loss(raw, p, y, n, sigma).backward();
    std::vector<at::Tensor> grads;
    for (at::Tensor& w : weights) grads.push_back(w.grad());
    const at::NoGradGuard no_grad;
    const double lr = 3e-3 * (1 - static_cast<double>(step) / kSteps);
    at::_foreach_add_(steps, 1);
    at::_fused_adam_(weights, grads, first, second, {}, steps, lr, 0.9, 0.99, 0, 1e-8, false, false);
    at::_foreach_zero_(grads);
  }
  const at::NoGradGuard no_grad;
  const Denoiser trained = [&](const at::Tensor& x, double sigma) {
    return denoised(raw, p, x.to(at::kFloat), at::full({x.size(0)}, sigma)).to(at::kDouble);
  };
  EXPECT_LT(sliced_distance(sample(trained, g), draw(kSamples, g)), 0.04);
  // Near the noise level with the largest weight, the trained denoiser matches the exact one.
  const at::Tensor x = draw(kSamples, g) + 0.3 * at::randn({kSamples, 2}, g, at::TensorOptions(at::kFloat));
  const double error =
      (trained(x, 0.3) - exact_denoiser(x.to(at::kDouble), 0.3)).square().mean().sqrt().item<double>();
  EXPECT_LT(error, 0.05);
}

}  // namespace
}  // namespace diffit::diffusion
