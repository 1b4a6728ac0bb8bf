#include "diffusion/grid_check.h"

#include <gtest/gtest.h>

namespace diffit::diffusion {
namespace {

LatentRequest latent(LatentSampler sampler, std::int64_t steps, std::optional<Spacing> spacing = {}) {
  LatentRequest request;
  request.sampler = sampler;
  request.steps = steps;
  request.spacing = spacing;
  return request;
}

TEST(GridCheck, WarnsOfLeadingGridsThatOmitHighestNoise) {
  for (const std::int64_t steps : {1, 2, 9, 501, 600, 980, 400, 300, 150, 60}) {
    EXPECT_NE(grid_warning(latent(LatentSampler::ddim, steps)), "") << steps;
    EXPECT_NE(grid_warning(latent(LatentSampler::dpmpp2m, steps, Spacing::leading)), "") << steps;
    EXPECT_NE(grid_warning(latent(LatentSampler::unipc, steps, Spacing::leading)), "") << steps;
  }
}

TEST(GridCheck, AcceptsGridsThatStartAtHighestNoise) {
  for (const std::int64_t steps : {10, 12, 25, 30, 50, 100, 250, 333, 500, 998, 1000}) {
    EXPECT_EQ(grid_warning(latent(LatentSampler::ddim, steps)), "") << steps;
  }
  for (const std::int64_t steps : {60, 501, 998}) {
    EXPECT_EQ(grid_warning(latent(LatentSampler::ddim, steps, Spacing::trailing)), "") << steps;
    EXPECT_EQ(grid_warning(latent(LatentSampler::ddim, steps, Spacing::linspace)), "") << steps;
    EXPECT_EQ(grid_warning(latent(LatentSampler::dpmpp2m, steps)), "") << steps;
    EXPECT_EQ(grid_warning(latent(LatentSampler::ddpm, steps)), "") << steps;
  }
}

TEST(GridCheck, SuggestedStepsGiveNoWarning) {
  const std::string warning = grid_warning(latent(LatentSampler::ddim, 501));
  EXPECT_NE(warning.find("timestep 500 of 999"), std::string::npos) << warning;
  EXPECT_NE(warning.find("`steps` 500 or 1000"), std::string::npos) << warning;
  const std::string other = grid_warning(latent(LatentSampler::ddim, 300));
  EXPECT_NE(other.find("`steps` 250 or 333"), std::string::npos) << other;
  EXPECT_NE(grid_warning(latent(LatentSampler::ddim, 4)).find("or `steps` 10"), std::string::npos);
  for (const std::int64_t steps : {10, 250, 333, 500, 1000}) {
    EXPECT_GE(timestep_grid(Spacing::leading, steps).front(), 999 - 2 * (1000 / steps)) << steps;
  }
}

TEST(GridCheck, WarnsOfLowSigmaMax) {
  LatentRequest heun = latent(LatentSampler::heun, 18);
  EXPECT_EQ(grid_warning(heun), "");
  heun.sigma_max = 5;
  EXPECT_NE(grid_warning(heun).find("`sigma_max` 5"), std::string::npos);
  for (const Schedule precondition : {Schedule::edm, Schedule::vp, Schedule::ve}) {
    ImageConfig config;
    config.precondition = precondition;
    ImageRequest request;
    EXPECT_EQ(grid_warning(config, request), "") << name_of(precondition);
    request.sigma_max = 3;
    EXPECT_NE(grid_warning(config, request), "") << name_of(precondition);
  }
}

}  // namespace
}  // namespace diffit::diffusion
