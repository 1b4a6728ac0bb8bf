#include "analysis/likelihood.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "runtime/pch.h"

namespace diffit::analysis {

namespace {

/// Calls fill(random, row) for each image with a random stream of its own.
template <class Fill>
at::Tensor drawn(const at::Tensor& like, Purpose purpose, std::uint64_t seed, std::int64_t first,
                 const Fill& fill) {
  at::Tensor out = at::empty(like.sizes(), at::kFloat);
  for (std::int64_t i = 0; i < out.size(0); ++i) {
    Random random(seed, stream_of(purpose, static_cast<std::uint64_t>(first + i)));
    const at::Tensor row = out[i];
    fill(random, std::span(row.mutable_data_ptr<float>(), static_cast<std::size_t>(row.numel())));
  }
  return out.to(like.device()).to(at::kDouble);
}

struct Slope {
  at::Tensor dx;         // (x - D) / sigma
  at::Tensor remaining;  // d - tr dD/dx, [B]
};

Slope slope_at(const Denoiser& denoise, const at::Tensor& x, double sigma, const at::Tensor& probe) {
  const at::AutoGradMode with_gradients(true);
  const at::Tensor leaf = x.detach().requires_grad_(true);
  const at::Tensor d = denoise(leaf, sigma);
  const at::Tensor product = torch::autograd::grad({d}, {leaf}, {probe})[0];
  const auto numbers = static_cast<double>(x.numel()) / static_cast<double>(x.size(0));
  return {(x - d.detach()) / sigma, numbers - (product * probe).flatten(1).sum(1)};
}

}  // namespace

at::Tensor log_density(const Denoiser& denoise, const at::Tensor& z, const std::vector<double>& sigmas,
                       std::uint64_t seed, std::int64_t first) {
  DIFFIT_CHECK(sigmas.size() >= 2 && sigmas.front() > 0, "likelihood: wanted at least two noise levels");
  const at::Tensor probe =
      drawn(z, Purpose::probe, seed, first, [](Random& random, std::span<float> numbers) {
        for (float& number : numbers) number = (random.bits() & 1) != 0 ? 1.0F : -1.0F;
      });
  at::Tensor x = z.to(at::kDouble), integral = at::zeros({z.size(0)}, x.options());
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Slope here = slope_at(denoise, x, sigma, probe);
    const Slope there = slope_at(denoise, x + (next - sigma) * here.dx, next, probe);
    x = x + (next - sigma) * (here.dx + there.dx) / 2;
    integral = integral + std::log(next / sigma) * (here.remaining + there.remaining) / 2;
  }
  const double largest = sigmas.back();
  const at::Tensor prior =
      -0.5 * ((x / largest).square() + std::log(2 * M_PI * largest * largest)).flatten(1).sum(1);
  return (prior + integral).cpu();
}

at::Tensor bits_a_number(const Denoiser& denoise, const at::Tensor& y, const std::vector<double>& sigmas,
                         std::uint64_t seed, std::int64_t first) {
  const double sigma = sigmas.front(), variance = sigma * sigma;
  const at::Tensor n = drawn(y, Purpose::evaluation_noise, seed, first,
                             [](Random& random, std::span<float> numbers) { random.normal(numbers); });
  const at::Tensor z = y.to(at::kDouble) + sigma * n;
  const double constant = std::log(2 * M_PI * variance);
  const at::Tensor q = -0.5 * (n.square() + constant).flatten(1).sum(1);

  const at::Tensor levels = at::arange(256, z.options()) / 127.5 - 1;
  const at::Tensor shares = at::logsumexp(-(z.unsqueeze(-1) - levels).square() / (2 * variance), {-1});
  const at::Tensor decoded = (-0.5 * n.square() - shares).flatten(1).sum(1);

  const at::Tensor bound = q.cpu() - log_density(denoise, z, sigmas, seed, first) - decoded.cpu();
  const auto numbers = static_cast<double>(y.numel()) / static_cast<double>(y.size(0));
  return bound / (numbers * std::log(2.0));
}

}  // namespace diffit::analysis
