#include "analysis/corruption.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

using Kind = Corruption::Kind;

at::Tensor random_images(std::int64_t count, std::int64_t channels) {
  at::manual_seed(3);
  return at::randint(256, {count, 32, 32, channels}, at::kByte);
}

TEST(Corruption, DoesNotDependOnBatch) {
  const at::Tensor images = random_images(5, 3);
  for (const Corruption& corruption : all_corruptions()) {
    const at::Tensor together = corrupted(images, corruption, 7, 100);
    EXPECT_EQ(together.sizes(), images.sizes()) << corruption.name();
    EXPECT_EQ(together.scalar_type(), at::kByte) << corruption.name();
    EXPECT_FALSE(at::equal(together, images)) << corruption.name();
    EXPECT_TRUE(at::equal(corrupted(images.narrow(0, 3, 1), corruption, 7, 103)[0], together[3]))
        << corruption.name();
  }
}

TEST(Corruption, GrowsWithSeverity) {
  const at::Tensor images = random_images(16, 1), exact = images.to(at::kFloat);
  for (const Kind kind : {Kind::blur, Kind::noise, Kind::contrast, Kind::occlusion}) {
    double before = 0;
    for (int severity = 1; severity <= 3; ++severity) {
      const at::Tensor worse = corrupted(images, {kind, severity}, 0, 0).to(at::kFloat);
      const double change = (worse - exact).square().mean().item<double>();
      EXPECT_GT(change, before) << Corruption{kind, severity}.name();
      before = change;
    }
  }
}

TEST(Corruption, MatchesDefinition) {
  const at::Tensor images = random_images(8, 3), grey = at::full({8, 32, 32, 1}, 128, at::kByte);
  EXPECT_TRUE(
      at::equal(corrupted(corrupted(images, {Kind::inversion}, 0, 0), {Kind::inversion}, 0, 0), images));
  EXPECT_TRUE(at::equal(corrupted(grey, {Kind::blur, 3}, 0, 0), grey))
      << "what is even stays so, to the border";
  const at::Tensor flat = corrupted(images, {Kind::contrast, 3}, 0, 0).to(at::kFloat),
                   exact = images.to(at::kFloat);
  // The mean of 1024 values, each rounded by at most one half.
  EXPECT_LE((flat.mean({1, 2}) - exact.mean({1, 2})).abs().max().item<double>(), 0.5);
  const at::Tensor holes = corrupted(grey, {Kind::occlusion, 2}, 0, 0).eq(0).sum({1, 2, 3});
  EXPECT_TRUE(holes.eq(12 * 12).all().item<bool>()) << holes;
  const at::Tensor noise = corrupted(grey, {Kind::noise, 1}, 0, 0).to(at::kFloat) - 128;
  // 8192 numbers: the standard error of their standard deviation is 8 / sqrt(2 * 8192) = 0.063; rounding adds
  // 1/12 to the variance of 64.
  EXPECT_NEAR(noise.std().item<double>(), std::sqrt(64 + 1.0 / 12), 5 * 0.063);
}

TEST(Corruption, NamesAreDistinct) {
  std::set<std::string> names;
  for (const Corruption& corruption : all_corruptions()) names.insert(corruption.name());
  EXPECT_EQ(names.size(), all_corruptions().size());
  EXPECT_EQ(names.count("blur 2"), 1U);
}

}  // namespace
}  // namespace diffit::analysis
