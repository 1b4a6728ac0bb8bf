#include "diffusion/samplers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "diffusion/sampled_model.h"

namespace diffit::diffusion {
namespace {

/// A Gaussian with standard deviation 0.5 on a schedule, without classes.
SampledModel gaussian(Schedule schedule) {
  SampledModel model;
  model.shape = {1, 2, 2};
  model.schedule = schedule;
  model.network = [schedule](const at::Tensor& x, const NoiseLevel& level, const at::Tensor& labels) {
    EXPECT_FALSE(labels.defined());
    const double sigma2 = level.sigma * level.sigma, total = sigma2 + 0.25;
    const at::Tensor y = x.to(at::kDouble);
    if (schedule != Schedule::vp_linear) return NetworkOutput{y * (0.25 / total), {}};
    return NetworkOutput{y * (level.sigma * std::sqrt(1 + sigma2) / total), {}};  // (x - D) / sigma
  };
  return model;
}

at::Tensor samples_of(const SampledModel& model, const SampleRequest& request, std::int64_t* evaluations) {
  at::Tensor samples;
  const Evaluations made =
      generate(model, request, [&](std::int64_t, const at::Tensor& all) { samples = all; });
  if (evaluations != nullptr) *evaluations = made.made;
  return samples;
}

// The table describes each sampler correctly, on every schedule that it supports.
TEST(Samplers, TableMatchesBehavior) {
  for (const Sampler* sampler : samplers()) {
    EXPECT_EQ(&sampler_of(sampler->id), sampler);
    EXPECT_EQ(&sampler_named(sampler->name, true), sampler);
    for (const Schedule schedule : {Schedule::edm, Schedule::vp, Schedule::flow, Schedule::vp_linear}) {
      const SampledModel model = gaussian(schedule);
      SampleRequest request;
      request.ask_for_first(64, 0);
      request.sampler = sampler->id;
      request.spacing = Spacing::trailing;
      request.steps = 2 * sampler->usual_steps;
      if (sampler->needs_timesteps && schedule != Schedule::vp_linear) {
        EXPECT_THROW(check(model, request), Error) << sampler->name;
        continue;
      }
      std::int64_t evaluations = 0;
      const at::Tensor samples = samples_of(model, request, &evaluations);
      EXPECT_EQ(evaluations, sampler->evaluations_of(request.steps)) << sampler->name;
      // 256 numbers: the standard deviation is known to 4.4 %; four of these, and the sampler's own error.
      EXPECT_NEAR(samples.std().item<double>(), 0.5, 0.11) << sampler->name;

      const auto changes = [&](SampleRequest other) {
        return !at::equal(samples_of(model, other, nullptr), samples);
      };
      SampleRequest other = request;
      other.eta = 1;
      EXPECT_EQ(changes(other), sampler->uses_eta) << sampler->name;
      other = request;
      other.spacing = Spacing::leading;
      EXPECT_EQ(changes(other), sampler->uses_spacing) << sampler->name;
      other = request;
      other.sigma_max = 20;
      EXPECT_EQ(changes(other), sampler->uses_sigmas) << sampler->name;
      other = request;
      other.churn.s_churn = 10;
      EXPECT_EQ(changes(other), sampler->uses_sigmas) << sampler->name;
      for (const std::int64_t steps : {sampler->least_steps, request.steps}) {
        request.steps = steps;
        EXPECT_NO_THROW(check(model, request)) << sampler->name << " " << steps;
      }
    }
  }
}

// Whoever watches sees each step once, from the noisiest on, and changes nothing.
TEST(Samplers, ObserversSeeEveryStep) {
  for (const Sampler* sampler : samplers()) {
    for (const Schedule schedule : {Schedule::edm, Schedule::vp_linear}) {
      if (sampler->needs_timesteps && schedule != Schedule::vp_linear) continue;
      const SampledModel model = gaussian(schedule);
      SampleRequest request;
      request.ask_for_first(5, 0);
      request.batch = 3;
      request.sampler = sampler->id;
      request.steps = 6;
      at::Tensor samples, watched;
      const auto sink = [](at::Tensor& all) {
        return [&all](std::int64_t first, const at::Tensor& batch) {
          all = first == 0 ? batch : at::cat({all, batch});
        };
      };
      generate(model, request, sink(samples));
      std::vector<std::int64_t> steps;
      double before = 0;
      generate(model, request, sink(watched), {}, [&](const SampleState& state) {
        EXPECT_EQ(state.first, steps.size() < 6 ? 0 : 3) << sampler->name;
        EXPECT_EQ(state.x.size(0), state.first == 0 ? 3 : 2);
        EXPECT_EQ(state.steps, 6);
        EXPECT_GT(state.sigma, 0);
        if (state.step > 0) {
          EXPECT_LT(state.sigma, before) << sampler->name;
        }
        before = state.sigma;
        steps.push_back(state.step);
        // D(x; sigma) of a Gaussian with standard deviation 0.5, from x with noise of level sigma.
        const double shrink = 0.25 / (0.25 + state.sigma * state.sigma);
        const double largest = (state.x * shrink).abs().max().item<double>();
        EXPECT_LT((state.estimate - state.x * shrink).abs().max().item<double>(), 1e-4 * (1 + largest))
            << sampler->name << " at " << state.sigma;
      });
      EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5})) << sampler->name;
      EXPECT_TRUE(at::equal(samples, watched)) << sampler->name;
    }
  }
}

TEST(Samplers, NamesAreListedInErrors) {
  EXPECT_EQ(sampler_names(true), "ddpm, ddim, dpmpp2m, unipc, heun or euler");
  EXPECT_EQ(sampler_names(false), "heun or euler");
  EXPECT_EQ(sampler_named("ddim", true).fields(), "`eta` and `spacing`");
  EXPECT_EQ(sampler_named("ddpm", true).fields(), "`steps` alone");
  EXPECT_THROW(sampler_named("ddim", false), Error);
  try {
    sampler_named("heum", false);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("heun or euler, got 'heum'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace diffit::diffusion
