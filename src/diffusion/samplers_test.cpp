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
