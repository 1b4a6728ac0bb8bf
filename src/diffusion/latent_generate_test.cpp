#include "diffusion/latent_generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "kernels/testing.h"

namespace diffit::diffusion {
namespace {

const LatentConfig kConfig{.input_size = 2, .patch = 1, .hidden = 4, .depth = 1, .heads = 1, .classes = 3};
constexpr double kDeviation = 0.5;

/// eps of a Gaussian, plus `gap` if there is a label; the variance is in the middle of its range.
LatentNetwork network_of(double gap) {
  return [gap](const at::Tensor& x, double t, const at::Tensor& labels) {
    const double a = VpSchedule::linear().alpha_bar[static_cast<std::size_t>(t)];
    const at::Tensor condition = labels.lt(kConfig.classes).to(x.scalar_type()).view({-1, 1, 1, 1});
    const at::Tensor eps = x * (std::sqrt(1 - a) / (a * kDeviation * kDeviation + 1 - a)) + gap * condition;
    return at::cat({eps, at::zeros_like(eps)}, 1);
  };
}

/// A network for the same Gaussian that predicts the quantity stated in `config`.
LatentNetwork raw_network_of(const LatentConfig& config) {
  return [p = parameterisation_of(config)](const at::Tensor& x, double t, const at::Tensor&) {
    const double sigma = VpSchedule::linear().sigma(std::lround(t));
    const double variance = kDeviation * kDeviation;
    // D(x; sigma) = x variance / (variance + sigma^2) = c_skip x + c_out F at x = x_t sqrt(1 + sigma^2).
    const double of_x = (variance / (variance + sigma * sigma) - p.c_skip(sigma)) / p.c_out(sigma);
    const at::Tensor output = x * (of_x * std::sqrt(1 + sigma * sigma));
    return p.learned_variance ? at::cat({output, at::zeros_like(output)}, 1) : output;
  };
}

LatentRequest request_of(LatentSampler sampler, std::int64_t steps, std::int64_t count = 5) {
  LatentRequest r;
  r.sampler = sampler;
  r.steps = steps;
  r.seeds.resize(static_cast<std::size_t>(count));
  std::iota(r.seeds.begin(), r.seeds.end(), 10);
  r.labels.assign(r.seeds.size(), 1);
  return r;
}

struct Made {
  at::Tensor samples;
  Evaluations evaluations;
};

Made make(const LatentNetwork& network, const LatentRequest& request) {
  std::vector<at::Tensor> batches;
  const Evaluations evaluations =
      generate(network, kConfig, at::kCPU, request,
               [&](std::int64_t, const at::Tensor& x) { batches.push_back(x.clone()); });
  return {at::cat(batches), evaluations};
}

const std::vector<LatentSampler> kAll{LatentSampler::ddpm,  LatentSampler::ddim, LatentSampler::dpmpp2m,
                                      LatentSampler::unipc, LatentSampler::heun, LatentSampler::euler};

TEST(LatentGenerate, SampleIsIndependentOfBatchAndOrder) {
  for (const LatentSampler sampler : kAll) {
    LatentRequest r = request_of(sampler, 7);
    r.eta = 0.5;
    r.churn.s_churn = 2;
    r.guidance.scale = 2;
    const at::Tensor whole = make(network_of(0.1), r).samples;
    r.batch = 2;
    EXPECT_TRUE(at::equal(make(network_of(0.1), r).samples, whole));
    r.first = 4;
    EXPECT_TRUE(at::equal(make(network_of(0.1), r).samples, whole.narrow(0, 4, 1)));
    r.first = 0;
    std::reverse(r.seeds.begin(), r.seeds.end());
    EXPECT_TRUE(at::equal(make(network_of(0.1), r).samples, whole.flip(0)));
  }
}

TEST(LatentGenerate, GivenNoiseReplacesSeeds) {
  for (const LatentSampler sampler : kAll) {
    LatentRequest r = request_of(sampler, 5);
    r.eta = 1;
    r.churn.s_churn = 2;
    const at::Tensor by_seed = make(network_of(0), r).samples;
    std::vector<at::Tensor> start, rows;
    for (const std::uint64_t seed : r.seeds) start.push_back(initial_noise(seed, {4, 2, 2}));
    for (std::int64_t k = 0; k < 9; ++k) {
      std::vector<at::Tensor> row;
      for (const std::uint64_t seed : r.seeds) row.push_back(step_noise(seed, k, {4, 2, 2}));
      rows.push_back(at::stack(row));
    }
    r.init_noise = at::stack(start);
    r.step_noise = at::stack(rows);
    r.seeds.assign(5, 0);
    EXPECT_TRUE(at::equal(make(network_of(0), r).samples, by_seed));
  }
}

// The released 256 preset: 250 respaced steps, 4.4 by the power-cosine schedule. The scale is within 1e-3 of
// 1 where (1 - t/1000)^4 < 0.0109, t > 677: a third of the steps.
TEST(LatentGenerate, ReleasedPresetSavesThirdOfEvaluations) {
  LatentRequest r = request_of(LatentSampler::ddpm, 250, 1);
  r.guidance = {.scale = 4.4, .power_cosine = true, .channels = 3};
  const Evaluations e = make(network_of(0), r).evaluations;
  EXPECT_EQ(e.made + e.saved, 500);
  EXPECT_EQ(e.saved, 81);
  r.guidance.tolerance = 0;
  EXPECT_EQ(make(network_of(0), r).evaluations.saved, 2);  // t = 999, 995: the scale is 1 to the last bit
}

// Skipping an evaluation changes eps by (scale - 1) (c - u) at that step. This
// moves the next state by posterior_x0 sigma (scale - 1) (c - u), and the reverse process of a Gaussian with
// less than unit variance contracts, so the sum over the steps bounds the change of the sample.
TEST(LatentGenerate, SkippedEvaluationsChangeSamplesWithinTolerance) {
  constexpr double kGap = 1;  // as large as eps itself; trained models have far less at these noise levels
  LatentRequest r = request_of(LatentSampler::ddpm, 250, 3);
  r.guidance = {.scale = 4.4, .power_cosine = true};
  const at::Tensor left_out = make(network_of(kGap), r).samples;
  r.guidance.tolerance = 0;
  const at::Tensor computed = make(network_of(kGap), r).samples;
  const VpSchedule s = VpSchedule::linear().respaced(250);
  double bound = 0;
  for (std::int64_t i = 0; i < 250; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double over = r.guidance.scale_at(static_cast<double>(s.timesteps[at]), 1000) - 1;
    if (over <= 1e-3) bound += s.posterior_x0[at] * s.sigma(i) * over * kGap;
  }
  EXPECT_LT(bound, 2.5e-3);
  // In addition, the network uses float32: 250 roundings of numbers of order 10.
  testing::expect_close(left_out, computed, bound + 250 * 10 * testing::epsilon(at::kFloat), "left out");
  EXPECT_FALSE(at::equal(left_out, computed));
}

TEST(LatentGenerate, GuidesOnlyInsideInterval) {
  const auto evaluations = [](LatentSampler sampler, std::int64_t steps, Guidance guidance) {
    LatentRequest r = request_of(sampler, steps, 1);
    guidance.scale = 2;
    r.guidance = guidance;
    return make(network_of(0.1), r).evaluations;
  };
  using Axis = Guidance::Axis;
  // ddim, ten steps: t = 900, 800, ..., 0.
  EXPECT_EQ(evaluations(LatentSampler::ddim, 10, {.axis = Axis::timestep, .low = 100, .high = 500}).saved, 5);
  EXPECT_EQ(evaluations(LatentSampler::ddim, 10, {.axis = Axis::step, .low = 0.2, .high = 0.5}).saved, 7);
  // Published interval of DiT-XL/2: sigma in (0.34, 1.02], t = 99..262, about 40 of 250 steps.
  EXPECT_EQ(evaluations(LatentSampler::ddpm, 250, {.low = 0.34, .high = 1.02}).made, 250 + 41);
  // Heun's correction belongs to its step.
  EXPECT_EQ(evaluations(LatentSampler::heun, 10, {.axis = Axis::step, .low = 0, .high = 0.1}).made, 19 + 2);
}

// D_weak + w (D_main - D_weak), both with the condition.
TEST(LatentGenerate, AutoguidanceExtrapolatesFromWeakerModel) {
  LatentRequest r = request_of(LatentSampler::ddim, 10);
  const at::Tensor at_half = make(network_of(0.5), r).samples;
  const at::Tensor plain = make(network_of(0.1), r).samples;
  r.guidance.scale = 5;
  r.guide = network_of(0);  // 0 + 5 (0.1 - 0) = 0.5
  // The networks return float32: ten roundings of numbers of order 10.
  const double bound = 200 * testing::epsilon(at::kFloat);
  testing::expect_close(make(network_of(0.1), r).samples, at_half, bound, "guided");
  r.guide = network_of(0.1);  // itself
  testing::expect_close(make(network_of(0.1), r).samples, plain, bound, "guided by itself");
}

TEST(LatentGenerate, RejectsMismatchedRequests) {
  const auto refused = [](const auto& change) {
    LatentRequest r = request_of(LatentSampler::ddim, 5);
    change(r);
    EXPECT_THROW(make(network_of(0), r), Error);
  };
  refused([](LatentRequest& r) { r.labels[2] = 3; });
  refused([](LatentRequest& r) { r.labels[2] = -1; });
  refused([](LatentRequest& r) { r.labels.pop_back(); });
  refused([](LatentRequest& r) { r.steps = 0; });
  refused([](LatentRequest& r) { r.steps = 1001; });
  refused([](LatentRequest& r) { r.init_noise = at::zeros({5, 4, 2, 3}); });
  refused([](LatentRequest& r) { r.init_noise = at::zeros({4, 4, 2, 2}); });
  refused([](LatentRequest& r) { r.eta = 1, r.step_noise = at::zeros({2, 5, 4, 2, 2}); });
  EXPECT_THROW(latent_sampler_named("plms"), Error);
}

TEST(LatentGenerate, ReportsNonFiniteSamples) {
  const LatentNetwork broken = [](const at::Tensor& x, double, const at::Tensor&) {
    return at::full({x.size(0), 8, 2, 2}, std::nan(""));
  };
  try {
    make(broken, request_of(LatentSampler::ddim, 5));
    FAIL() << "NaN was not detected";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::failed);
  }
}

// The samples of a Gaussian have its standard deviation and do not depend on the quantity that the network
// predicts.
TEST(LatentGenerate, SamplesDoNotDependOnThePredictedQuantity) {
  constexpr std::int64_t kCount = 64;
  for (const LatentSampler sampler : kAll) {
    for (const bool learned_variance : {false, true}) {
      LatentRequest r = request_of(sampler, sampler == LatentSampler::ddpm ? 250 : 40, kCount);
      r.spacing = Spacing::trailing;
      LatentConfig config = kConfig;
      config.learned_variance = learned_variance;
      const at::Tensor by_eps = make(noise_network(raw_network_of(config), config), r).samples;
      // 64 x 16 numbers: the standard deviation is known to 2.2 %; four of these, and the samplers' own
      // error.
      EXPECT_NEAR(by_eps.std().item<double>(), kDeviation, 0.12 * kDeviation);
      for (const Prediction prediction : {Prediction::v, Prediction::x0, Prediction::velocity}) {
        config.prediction = prediction;
        const at::Tensor samples = make(noise_network(raw_network_of(config), config), r).samples;
        // float32 outputs; converting eps to x_0 multiplies it by up to 157.
        testing::expect_close(samples, by_eps, 2e-4, std::string(name_of(prediction)));
      }
    }
  }
}

}  // namespace
}  // namespace diffit::diffusion
