#include "diffusion/parameterisation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "diffusion/edm.h"
#include "kernels/testing.h"

namespace diffit::diffusion {
namespace {

constexpr Prediction kPredictions[] = {Prediction::x0, Prediction::eps, Prediction::v, Prediction::velocity,
                                       Prediction::edm};
constexpr Schedule kSchedules[] = {Schedule::edm, Schedule::vp, Schedule::ve, Schedule::flow,
                                   Schedule::vp_linear};

TEST(Parameterisation, TargetsAreTheirDefinitions) {
  for (const double sigma : {0.01, 0.3, 1.0, 7.0, 150.0}) {
    const double alpha = 1 / std::sqrt(1 + sigma * sigma), s = sigma * alpha;
    const auto expect = [&](Prediction prediction, double of_x0, double of_noise) {
      const Parameterisation p{0.5, Schedule::vp_linear, prediction};
      EXPECT_NEAR(p.target_x0(sigma), of_x0, 1e-12) << sigma;
      EXPECT_NEAR(p.target_noise(sigma), of_noise, 1e-12) << sigma;
    };
    expect(Prediction::x0, 1, 0);
    expect(Prediction::eps, 0, 1);
    expect(Prediction::v, -s, alpha);
    expect(Prediction::velocity, -1, 1);
    const Parameterisation on_ve{0.5, Schedule::ve, Prediction::eps};
    EXPECT_NEAR(on_ve.target_noise(sigma), -1, 1e-12);
  }
}

// A network that predicts its target exactly reproduces the image and the noise, and its loss is 0.
TEST(Parameterisation, ExactPredictionReproducesImageAndNoise) {
  for (const Schedule schedule : kSchedules) {
    for (const Prediction prediction : kPredictions) {
      const Parameterisation p{0.5, schedule, prediction};
      for (const double sigma : {0.02, 0.7, 90.0}) {
        const at::Tensor x0 = at::tensor({-0.9, 0.1, 0.8}, at::kDouble).reshape({1, 3});
        const at::Tensor n = at::tensor({0.3, -1.2, 2.0}, at::kDouble).reshape({1, 3});
        const at::Tensor target = p.target_x0(sigma) * x0 + p.target_noise(sigma) * n;
        const RawNetwork network = [&](const at::Tensor& x, const at::Tensor& c_noise) {
          EXPECT_EQ(x.sizes(), x0.sizes());
          EXPECT_EQ(c_noise.numel(), 1);
          return target;
        };
        const at::Tensor level = at::full({1}, sigma, at::kDouble), x = x0 + sigma * n;
        testing::expect_close(denoised(network, p, x, level), x0, 1e-11, "x_0");
        testing::expect_close(p.noise_of(target, x / std::sqrt(1 + sigma * sigma), sigma), n, 1e-11, "n");
        EXPECT_LT(edm_loss(network, p, x0, sigma * n, level).item<double>(), 1e-20);
      }
    }
  }
}

// x_t = alpha x_0 + s n is what the network receives: c_in is alpha.
TEST(Parameterisation, InputsFollowTheSchedule) {
  const at::Tensor t = at::tensor({0.001, 0.25, 0.5, 0.9}, at::kDouble), sigma = t / (1 - t);
  const Parameterisation flow{0.5, Schedule::flow, Prediction::velocity};
  testing::expect_close(flow.c_in(sigma), 1 - t, 1e-15, "c_in");
  testing::expect_close(flow.c_noise(sigma), 1000 * t, 1e-12, "c_noise");
  const VpSchedule linear = timesteps_of(Schedule::vp_linear);
  const Parameterisation steps{1, Schedule::vp_linear, Prediction::v};
  for (const std::int64_t i : {0, 1, 500, 999}) {
    const at::Tensor at_step = at::full({2}, linear.sigma(i), at::kDouble);
    EXPECT_EQ(steps.c_noise(at_step)[1].item<double>(), static_cast<double>(i));
    EXPECT_NEAR(steps.c_in(at_step)[0].item<double>(),
                std::sqrt(linear.alpha_bar[static_cast<std::size_t>(i)]), 1e-12);
  }
  EXPECT_THROW(timesteps_of(Schedule::flow), Error);
}

TEST(NoiseDistribution, FlowIsUniformInTimeAndVpLinearInTimesteps) {
  Random random(4, stream_of(Purpose::test));
  constexpr int kDraws = 20000;
  double sum_of_t = 0, sum_of_steps = 0;
  const VpSchedule linear = timesteps_of(Schedule::vp_linear);
  for (int i = 0; i < kDraws; ++i) {
    const double sigma = NoiseDistribution{-1.2, 1.2, Schedule::flow}.sigma(random);
    ASSERT_GE(sigma, sigma_range(Schedule::flow).least);
    ASSERT_LE(sigma, sigma_range(Schedule::flow).most);
    sum_of_t += sigma / (1 + sigma);
    const double step = NoiseDistribution{-1.2, 1.2, Schedule::vp_linear}.sigma(random);
    const std::int64_t nearest = nearest_step(linear, step);
    ASSERT_EQ(linear.sigma(nearest), step);
    sum_of_steps += static_cast<double>(nearest);
  }
  // The standard deviation of a uniform number is 0.29 of its range; five standard errors.
  EXPECT_NEAR(sum_of_t / kDraws, 0.5, 5 * 0.29 / std::sqrt(kDraws));
  EXPECT_NEAR(sum_of_steps / kDraws, 499.5, 5 * 289 / std::sqrt(kDraws));
}

TEST(Parameterisation, IsReadFromTheConfiguration) {
  const auto image = [](Json json) {
    json["model"] = "image";
    return parameterisation_of(std::get<ImageConfig>(read_model_config(json, "test")));
  };
  const auto latent = [](Json json) {
    json["model"] = "latent";
    return parameterisation_of(std::get<LatentConfig>(read_model_config(json, "test")));
  };
  EXPECT_EQ(image(Json::object()).prediction, Prediction::edm);
  EXPECT_EQ(image({{"precondition", "vp"}}).prediction, Prediction::eps);
  EXPECT_EQ(image({{"precondition", "vp"}, {"prediction", "v"}}).prediction, Prediction::v);
  EXPECT_EQ(image({{"precondition", "flow"}, {"prediction", "velocity"}}).schedule, Schedule::flow);
  EXPECT_EQ(latent(Json::object()).prediction, Prediction::eps);
  EXPECT_TRUE(latent(Json::object()).learned_variance);
  EXPECT_EQ(latent({{"prediction", "v"}, {"learned_variance", false}}).prediction, Prediction::v);
  EXPECT_FALSE(latent({{"prediction", "v"}, {"learned_variance", false}}).learned_variance);
  EXPECT_THROW(latent({{"prediction", "w"}}), Error);
  EXPECT_THROW(latent({{"prediction", "edm"}}), Error);
  EXPECT_THROW(latent({{"prediction", "auto"}}), Error);
  EXPECT_THROW(image({{"precondition", "vp_linear"}}), Error);

  // A configuration with default values contains neither field, as in files of earlier versions.
  for (const ModelConfig& config : {ModelConfig(ImageConfig{}), ModelConfig(LatentConfig{})}) {
    EXPECT_FALSE(write_model_config(config).contains("prediction"));
    EXPECT_FALSE(write_model_config(config).contains("learned_variance"));
  }
  LatentConfig v;
  v.prediction = Prediction::v;
  v.learned_variance = false;
  EXPECT_EQ(write_model_config(v)["prediction"], "v");
  EXPECT_EQ(write_model_config(v)["learned_variance"], false);
}

}  // namespace
}  // namespace diffit::diffusion
