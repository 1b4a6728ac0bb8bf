// The known part of a sample is kept by every sampler, and the rest is that of the network.
#include "diffusion/known_part.h"

#include <gtest/gtest.h>

#include <cmath>

namespace diffit::diffusion {
namespace {

const LatentConfig kConfig{.input_size = 2, .patch = 1, .hidden = 4, .depth = 1, .heads = 1, .classes = 3};

/// eps of a Gaussian with standard deviation 0.5, pixel by pixel.
at::Tensor eps_of(const at::Tensor& x, double t, const at::Tensor&) {
  const double a = VpSchedule::linear().alpha_bar[static_cast<std::size_t>(t)];
  const at::Tensor eps = x * (std::sqrt(1 - a) / (a * 0.25 + 1 - a));
  return at::cat({eps, at::zeros_like(eps)}, 1);
}

at::Tensor samples_of(SamplerId sampler, const KnownPart& known) {
  LatentRequest request;
  request.sampler = sampler;
  request.steps = 12;
  request.seeds = {4, 5, 6};
  request.labels = {0, 1, 2};
  at::Tensor made;
  generate(eps_of, kConfig, at::kCPU, request, known,
           [&](std::int64_t, const at::Tensor& samples) { made = samples.clone(); }, {}, {});
  return made;
}

TEST(KnownPart, EverySamplerKeepsIt) {
  const at::Tensor x0 = at::linspace(-0.8, 0.9, 16, at::kFloat).reshape({4, 2, 2});
  const at::Tensor mask = at::tensor({1, 0, 0, 1}, at::kLong).reshape({1, 2, 2}).gt(0);
  for (const SamplerId sampler : {SamplerId::ddpm, SamplerId::ddim, SamplerId::dpmpp2m, SamplerId::unipc,
                                  SamplerId::heun, SamplerId::euler}) {
    const std::string name(sampler_of(sampler).name);
    const at::Tensor made = samples_of(sampler, {x0, mask}), free = samples_of(sampler, {});
    const at::Tensor kept = mask.logical_not().expand_as(made);
    EXPECT_LT((made - x0).abs().masked_select(kept).max().item<float>(), 1e-4) << name;
    // The network works pixel by pixel, so that the rest is as without a known part.
    EXPECT_LT((made - free).abs().masked_select(mask.expand_as(made)).max().item<float>(), 1e-5) << name;
    EXPECT_GT((free - x0).abs().masked_select(kept).max().item<float>(), 0.1) << name;
  }
}

TEST(KnownPart, AContinuousNetworkHasItsEstimateReplaced) {
  const LevelNetwork network = [](const at::Tensor& x, const NoiseLevel&, const at::Tensor&) {
    return NetworkOutput{x.to(at::kDouble) / 2, {}};
  };
  const at::Tensor x0 = at::full({1, 2, 2}, 7.0F), x = at::ones({3, 1, 2, 2});
  const at::Tensor mask = at::tensor({1, 1, 0, 1}, at::kLong).reshape({1, 2, 2}).gt(0);
  const at::Tensor d =
      with_known_part(network, {x0, mask}, at::kCPU, /*discrete=*/false)(x, {.sigma = 2}, {}).value;
  EXPECT_TRUE(at::equal(d[1], at::tensor({0.5, 0.5, 7.0, 0.5}).to(at::kDouble).reshape({1, 2, 2})));
}

}  // namespace
}  // namespace diffit::diffusion
