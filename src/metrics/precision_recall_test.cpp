#include "metrics/precision_recall.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "metrics/testing.h"

namespace diffit::metrics {
namespace {

using testing::normals;

at::Tensor features(std::int64_t count, std::int64_t width, std::uint64_t draw) {
  return normals(count, width, draw).to(at::kFloat);
}

/// The definition in float64, with all distances at once.
at::Tensor inside_by_definition(const at::Tensor& points, const at::Tensor& balls, std::int64_t k) {
  const auto distances = [](const at::Tensor& x, const at::Tensor& y) {
    return (x.to(at::kDouble).unsqueeze(1) - y.to(at::kDouble).unsqueeze(0)).square().sum(2);
  };
  const at::Tensor radius = std::get<0>(distances(balls, balls).sort(1)).select(1, k);  // [0] is itself
  return (distances(points, balls) <= radius.unsqueeze(0)).any(1);
}

TEST(PrecisionRecall, MatchesDefinition) {
  // Blocks have 1024 x 2048 distances: the sets are smaller than a block, span several blocks, and have
  // unequal sizes.
  const struct {
    std::int64_t samples, reference, width, k;
  } cases[] = {{40, 60, 3, 3}, {1500, 2500, 6, 3}, {4200, 1025, 5, 5}, {5, 4, 2, 3}};
  for (const auto& c : cases) {
    const at::Tensor x = features(c.samples, c.width, 30) * 0.8 + 0.2, y = features(c.reference, c.width, 31);
    const PrecisionRecall got = precision_recall(x, y, {.neighbours = c.k});
    // Float32 may decide differently if a distance equals a radius to 1e-6; these sets have no such image.
    EXPECT_TRUE(at::equal(got.sample_inside, inside_by_definition(x, y, c.k))) << c.samples;
    EXPECT_TRUE(at::equal(got.reference_inside, inside_by_definition(y, x, c.k))) << c.samples;
    EXPECT_DOUBLE_EQ(got.precision, got.sample_inside.to(at::kDouble).mean().item<double>());
    EXPECT_DOUBLE_EQ(got.recall, got.reference_inside.to(at::kDouble).mean().item<double>());
  }
}

TEST(PrecisionRecall, CollapseLowersRecallAndNoiseLowersPrecision) {
  const at::Tensor reference = features(1500, 8, 32);
  const PrecisionRecall collapsed = precision_recall(features(1500, 8, 33) * 0.2, reference);
  EXPECT_GT(collapsed.precision, 0.95);
  EXPECT_LT(collapsed.recall, 0.2);
  const PrecisionRecall noisy = precision_recall(features(1500, 8, 34) * 3, reference);
  EXPECT_LT(noisy.precision, 0.2);
  EXPECT_GT(noisy.recall, 0.95);
}

TEST(PrecisionRecall, IsOneForIdenticalSets) {
  const at::Tensor x = features(300, 5, 35);
  const PrecisionRecall same = precision_recall(x, x);
  EXPECT_EQ(same.precision, 1);
  EXPECT_EQ(same.recall, 1);
}

TEST(PrecisionRecall, SurfaceIsInside) {
  // Four identical images have radius 0, and a fifth identical one is at distance 0.
  const PrecisionRecall equal = precision_recall(at::ones({4, 7}), at::ones({5, 7}));
  EXPECT_EQ(equal.precision, 1);
  EXPECT_EQ(equal.recall, 1);
}

TEST(PrecisionRecall, HalfPrecisionCountsTies) {
  // Integers up to 8: float16 represents every product and sum exactly, so the result must not change.
  const at::Tensor x = (features(500, 6, 36) * 2).round(), y = (features(400, 6, 37) * 2).round();
  const PrecisionRecall exact = precision_recall(x, y), half = precision_recall(x, y, {.half = true});
  EXPECT_TRUE(at::equal(exact.sample_inside, half.sample_inside));
  EXPECT_TRUE(at::equal(exact.reference_inside, half.reference_inside));
  // Far from the origin, float16 cannot resolve distances: everything ties with everything.
  const at::Tensor far = features(200, 4, 38) * 0.001 + 30;
  EXPECT_LT(precision_recall(far + 0.02, far).precision, 0.1);
  EXPECT_EQ(precision_recall(far + 0.02, far, {.half = true}).precision, 1);
}

TEST(PrecisionRecall, HalfPrecisionFallsBackOnOverflow) {
  // Squares above 65504 are infinite in float16; the block is then computed in float32.
  const at::Tensor x = features(200, 4, 39) * 300, y = features(200, 4, 40) * 300;
  const PrecisionRecall exact = precision_recall(x, y), half = precision_recall(x, y, {.half = true});
  EXPECT_TRUE(at::equal(exact.sample_inside, half.sample_inside));
  EXPECT_TRUE(at::equal(exact.reference_inside, half.reference_inside));
}

TEST(PrecisionRecall, DoesNotDependOnThreads) {
  const at::Tensor x = features(1300, 6, 41), y = features(2100, 6, 42);
  testing::expect_independent_of_threads(
      [&] {
        const PrecisionRecall p = precision_recall(x, y);
        return std::vector{p.sample_inside, p.reference_inside};
      },
      "precision and recall");
}

TEST(PrecisionRecall, RejectsTooFewAndNonFinite) {
  EXPECT_THROW(precision_recall(features(3, 4, 43), features(9, 4, 44)), Error);
  EXPECT_THROW(precision_recall(features(9, 4, 43), features(3, 4, 44)), Error);
  EXPECT_THROW(precision_recall(features(9, 5, 43), features(9, 4, 44)), Error);
  at::Tensor bad = features(9, 4, 45);
  bad[3][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(precision_recall(bad, features(9, 4, 44)), Error);
}

}  // namespace
}  // namespace diffit::metrics
