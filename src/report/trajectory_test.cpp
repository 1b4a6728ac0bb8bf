#include "report/trajectory.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "diffusion/images.h"
#include "report/neighbours.h"

namespace diffit::report {
namespace {

std::vector<Image> images(const at::Tensor& samples) {
  return to_images(samples);
}

TEST(Spread, IncludesBothEndsWithoutDuplicates) {
  EXPECT_EQ(spread(10, 4), (std::vector<std::size_t>{0, 3, 6, 9}));
  EXPECT_EQ(spread(3, 9), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(spread(5, 1), (std::vector<std::size_t>{0}));
  for (std::size_t all = 1; all < 40; ++all) {
    for (std::size_t count = 2; count < 12; ++count) {
      const std::vector<std::size_t> chosen = spread(all, count);
      EXPECT_EQ(chosen.size(), std::min(all, count));
      EXPECT_EQ(chosen.front(), 0);
      EXPECT_EQ(chosen.back(), all - 1);
      for (std::size_t i = 1; i < chosen.size(); ++i) EXPECT_LT(chosen[i - 1], chosen[i]);
    }
  }
}

/// Data set of a single gray image of level 0.5: D(x; sigma) is that image for any x, and so is the result.
TEST(Trace, ShowsExpectedImageAtEachLevelAndResult) {
  std::vector<double> asked;
  const Denoiser denoise = [&](const at::Tensor& x, double sigma) {
    asked.push_back(sigma);
    return at::full_like(x, 0.5);
  };
  const std::vector<double> sigmas = karras_sigmas(6);
  const Trajectories t = trace(denoise, at::ones({2, 1, 2, 2}), sigmas, 4, images);
  EXPECT_EQ(asked.size(), 11) << "2N - 1 evaluations, none more for what is shown";
  ASSERT_EQ(t.sigmas.size(), 4);
  EXPECT_DOUBLE_EQ(t.sigmas.front(), 80);
  EXPECT_NEAR(t.sigmas.back(), 0.002, 1e-12);
  const std::uint8_t level = to_images(at::full({1, 1, 2, 2}, 0.5f))[0].pixels[0];
  for (std::size_t b = 0; b < 2; ++b) {
    ASSERT_EQ(t.denoised[b].size(), 4);
    for (const Image& image : t.denoised[b]) EXPECT_EQ(image.pixels[0], level);
    EXPECT_NEAR(t.results[b].pixels[0], level, 1);
    // 80 / sqrt(1 + 80^2) times unit noise is white up to rounding.
    EXPECT_GE(t.states[b].front().pixels[0], 254);
  }
}

TEST(Trace, RejectsNonFiniteStates) {
  const Denoiser denoise = [](const at::Tensor& x, double) { return x / 0.0; };
  EXPECT_THROW(trace(denoise, at::ones({1, 1, 2, 2}), karras_sigmas(3), 3, images), Error);
}

class NeighboursTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "diffit-near-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (int i = 0; i < 30; ++i) write_png(folder_ / fmt::format("{:02}.png", i), grey(8 * i));
  }
  void TearDown() override { fs::remove_all(folder_); }

  static Image grey(int level) {
    return {4, 4, 1, std::vector<std::uint8_t>(16, static_cast<std::uint8_t>(level))};
  }

  fs::path folder_;
};

TEST_F(NeighboursTest, AreNearestWithDistanceInLevels) {
  const auto data = open_dataset(folder_);
  const NeighbourSearch search = find_neighbours(*data, {grey(83), grey(0)}, 3, 5, pixel_space());
  ASSERT_EQ(search.nearest.size(), 2);
  ASSERT_EQ(search.nearest[0].size(), 3);
  EXPECT_EQ(search.nearest[0][0].index, 10);
  EXPECT_EQ(search.nearest[0][1].index, 11);
  // Float32 pixels are divided by the square root of their number, then squared and summed in float64: 80/4
  // and 83/4 are exact.
  EXPECT_NEAR(search.nearest[0][0].distance, 3, 1e-5);
  EXPECT_NEAR(search.nearest[0][1].distance, 5, 1e-5);
  EXPECT_EQ(search.nearest[1][0].index, 0);
  EXPECT_NEAR(search.nearest[1][0].distance, 0, 1e-5);
  ASSERT_EQ(search.usual.size(), 5);
  for (const double distance : search.usual) EXPECT_NEAR(distance, 8, 1e-5) << "never a picture to itself";
}

TEST_F(NeighboursTest, CountIsLimitedToSizeOfSet) {
  const auto data = open_dataset(folder_);
  EXPECT_EQ(find_neighbours(*data, {grey(9)}, 100, 0, pixel_space()).nearest[0].size(), 30);
}

TEST_F(NeighboursTest, SupportsOtherSpaces) {
  const auto data = open_dataset(folder_);
  const ImageSpace inverted{"last bits", "", [](const at::Tensor& p) {
                              return p.flatten(1).to(at::kFloat).remainder(16).slice(1, 0, 1);
                            }};
  const NeighbourSearch search = find_neighbours(*data, {grey(16)}, 5, 0, inverted);
  for (const Neighbour& n : search.nearest[0]) EXPECT_EQ(n.index % 2, 0);
}

TEST_F(NeighboursTest, SearchesScaledMeansOfLatents) {
  LatentInfo info{.vae = "v", .scale = 2, .source = "s"};
  info.images = 20, info.channels = 1, info.height = info.width = 2;
  LatentShard shard;
  for (int i = 0; i < 20; ++i) {  // four means of i, four log variances
    for (int n = 0; n < 8; ++n) shard.moments.push_back(static_cast<float>(n < 4 ? i : -9));
  }
  shard.flipped = shard.moments;
  const fs::path folder = folder_ / "latents";
  fs::create_directories(folder);
  write_latent_shard(folder, info, shard);
  const auto decode = [](const at::Tensor& latent) { return grey(latent[0][0][0][0].item<int>()); };
  const at::Tensor samples = at::full({1, 1, 2, 2}, 13.25F);
  const NeighbourSearch search = find_neighbours(LatentDataset(folder), samples, 2, 5, decode);
  ASSERT_EQ(search.nearest.size(), 1);
  EXPECT_EQ(search.nearest[0][0].index, 7);
  EXPECT_NEAR(search.nearest[0][0].distance, 0.75, 1e-5);
  EXPECT_EQ(search.nearest[0][0].image.pixels.front(), 14);
  EXPECT_EQ(search.nearest[0][1].index, 6);
  for (const double distance : search.usual) EXPECT_NEAR(distance, 2, 1e-5);
  EXPECT_THROW(find_neighbours(LatentDataset(folder), at::zeros({1, 2, 2, 2}), 1, 0, decode), Error);
}

TEST_F(NeighboursTest, RejectsOtherSize) {
  const auto data = open_dataset(folder_);
  EXPECT_THROW(find_neighbours(*data, {{2, 2, 1, std::vector<std::uint8_t>(4)}}, 1, 0, pixel_space()), Error);
}

}  // namespace
}  // namespace diffit::report
