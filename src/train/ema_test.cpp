#include "train/ema.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace diffit::training {
namespace {

TEST(HalfLife, HalvesOverHalfLifeAndRampsUp) {
  EXPECT_NEAR(std::pow(half_life_beta(1e9, 10, 1000, 0.05), 100), 0.5, 1e-12);
  EXPECT_NEAR(std::pow(half_life_beta(1000, 10, 1000, 0.05), 5), 0.5, 1e-12);
  EXPECT_EQ(half_life_beta(1000, 10, 0, 0), 0);
  // The paper's decay of 0.9999 per step of 512 images is the half-life of the cifar10 preset.
  EXPECT_NEAR(half_life_beta(1e12, 512, 3548713, 0), 0.9999, 1e-9);
}

/// Standard deviation of p(tau) ~ tau^gamma on [0, 1], by numerical integration.
double deviation(double gamma) {
  double mass = 0, mean = 0, square = 0;
  for (int i = 0; i < 200000; ++i) {
    const double tau = (i + 0.5) / 200000, p = std::pow(tau, gamma);
    mass += p;
    mean += p * tau;
    square += p * tau * tau;
  }
  mean /= mass;
  return std::sqrt(square / mass - mean * mean);
}

TEST(PowerFunction, GammaGivesRequestedWidth) {
  for (const double std : {0.02, 0.05, 0.10, 0.2, 0.27}) EXPECT_NEAR(deviation(power_gamma(std)), std, 1e-5);
  EXPECT_NEAR(power_gamma(0.10), 6.94, 0.005);  // the two values in the paper
  EXPECT_NEAR(power_gamma(0.05), 16.97, 0.005);
}

/// Tracks averages of a weight that equals the image count; each average is then the mean of its profile.
struct Tracked {
  std::vector<PowerProfile> profiles;
  std::vector<double> values;
};

double profile_mean(const PowerProfile& p) {
  return (p.gamma + 1) / (p.gamma + 2) * p.images;
}

Tracked track(const std::function<double(double)>& weight) {
  Tracked tracked;
  const double gammas[] = {power_gamma(0.05), power_gamma(0.10)};
  double average[] = {0, 0};
  for (int image = 1; image <= 64000; ++image) {
    for (int k = 0; k < 2; ++k) {
      const double beta = power_beta(image, 1, gammas[k]);
      average[k] = beta * average[k] + (1 - beta) * weight(image);
    }
    if (image % 8000 != 0) continue;
    for (int k = 0; k < 2; ++k) {
      tracked.profiles.push_back({gammas[k], static_cast<double>(image)});
      tracked.values.push_back(average[k]);
    }
  }
  return tracked;
}

TEST(PowerFunction, RunningAverageHasItsProfile) {
  const Tracked t = track([](double image) { return image; });
  for (std::size_t i = 0; i < t.values.size(); ++i) {
    EXPECT_NEAR(t.values[i], profile_mean(t.profiles[i]), 1e-3 * t.profiles[i].images) << i;
  }
}

TEST(Reconstruction, ReproducesUntrackedAverage) {
  const auto weight = [](double image) { return std::sin(image / 9000) + image / 64000; };
  const Tracked t = track(weight);
  for (const double std : {0.06, 0.08, 0.10, 0.13}) {
    const PowerProfile wanted{power_gamma(std), 64000};
    const std::vector<double> x = reconstruction(t.profiles, wanted);
    EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0), 1, 1e-9);
    const double got = std::inner_product(x.begin(), x.end(), t.values.begin(), 0.0);
    double direct = 0;
    for (int image = 1; image <= 64000; ++image) {
      const double beta = power_beta(image, 1, wanted.gamma);
      direct = beta * direct + (1 - beta) * weight(image);
    }
    EXPECT_NEAR(got, direct, 0.01) << std;
    EXPECT_LT(reconstruction_error(t.profiles, x, wanted), 0.1) << std;
  }
  // A tracked average is reproduced exactly.
  const std::vector<double> itself = reconstruction(t.profiles, t.profiles.back());
  EXPECT_LT(reconstruction_error(t.profiles, itself, t.profiles.back()), 1e-4);
}

}  // namespace
}  // namespace diffit::training
