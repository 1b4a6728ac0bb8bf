#include "analysis/diagnosis.h"

#include <gtest/gtest.h>

#include "analysis/noise_error.h"
#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

/// Pixels with standard deviation 0.5 in the upper half and constant pixels in the lower half.
at::Tensor images() {
  at::manual_seed(2);
  return at::cat({0.5 * at::randn({400, 1, 2, 4}), at::zeros({400, 1, 2, 4})}, 2).to(at::kFloat);
}

/// The best linear denoiser for these images, with its gain multiplied by `off`.
Denoiser linear(double off) {
  return [off](const at::Tensor& x, double sigma) {
    const at::Tensor kept = at::zeros_like(x);
    kept.narrow(2, 0, 2).fill_(off * 0.25 / (0.25 + sigma * sigma));
    return kept * x;
  };
}

std::vector<LevelError> levels_of(const Denoiser& model, const Denoiser& rival) {
  const at::Tensor y = images();
  const std::vector<double> sigmas = noise_levels(0.1, 5, 5);
  return compare_levels(sigmas, noise_errors(model, y, sigmas, 0, 0, 64), linear_errors(y, sigmas),
                        noise_errors(rival, y, sigmas, 0, 0, 64));
}

TEST(Diagnosis, BestLinearDenoiserReachesBound) {
  for (const LevelError& level : levels_of(linear(1), linear(1))) {
    EXPECT_NEAR(level.share, 1, 3 * (level.share_high - level.share_low)) << level.sigma;
    EXPECT_DOUBLE_EQ(level.ratio, 1);
    EXPECT_DOUBLE_EQ(level.ratio_low, 1);
  }
}

TEST(Diagnosis, ErrorAtOneLevelRaisesSignatureForThatLevel) {
  const Denoiser broken = [](const at::Tensor& x, double sigma) {
    return linear(sigma > 3 ? 8 : 1)(x, sigma);
  };
  const std::vector<Signature> signatures = signatures_of_levels(levels_of(broken, linear(1)));
  ASSERT_EQ(signatures.size(), 2U);
  for (const Signature& s : signatures) {
    EXPECT_TRUE(s.raised) << s.name;
    EXPECT_NE(s.measure.find("sigma 5"), std::string::npos) << s.measure;
  }
  for (const Signature& s : signatures_of_levels(levels_of(linear(1), broken)))
    EXPECT_FALSE(s.raised) << s.name;
}

TEST(Diagnosis, ThresholdsApplyToInterval) {
  EXPECT_FALSE(signature_of_duplicates({.value = 0.06, .low = 0.04, .high = 0.09, .expected = 0.01}).raised);
  EXPECT_TRUE(signature_of_copies({.value = 0.08, .low = 0.06, .high = 0.1, .expected = 0.01}).raised);
  EXPECT_FALSE(
      signature_of_diversity({{.label = 1, .samples = 9, .ratio = 0.6, .low = 0.5, .high = 0.8}}).raised);
  const Signature raised =
      signature_of_diversity({{.label = 4, .samples = 900, .ratio = 0.6, .low = 0.55, .high = 0.65},
                              {.label = 5, .samples = 900, .ratio = 1, .low = 0.9, .high = 1.1}});
  EXPECT_TRUE(raised.raised);
  EXPECT_NE(raised.measure.find("class 4"), std::string::npos);
  const Diagnosis diagnosis{.model = "m", .data = "d", .against = "", .levels = {}, .signatures = {raised}};
  EXPECT_EQ(as_json(diagnosis)["raised"], 1);
  EXPECT_NE(as_text(diagnosis).find("RAISED"), std::string::npos);
}

}  // namespace
}  // namespace diffit::analysis
