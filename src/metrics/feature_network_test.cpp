#include "metrics/feature_network.h"

#include "base/test_folder.h"
#include "data/fit.h"
#include "kernels/testing.h"
#include "metrics/feature_source.h"
#include "model/classifier_file.h"
#include "nn/layers/weights_fingerprint.h"
#include "nn/layers/weights_io.h"
#include "runtime/pch.h"

namespace diffit::metrics {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

class FashionLike : public ::testing::Test {
 protected:
  FashionLike()
      : network_([] {
          ClassifierConfig config;
          config.channels = {8, 16};
          config.norm_groups = 4;
          return config;
        }()) {
    initialise(network_.parameters(), 4);
    path_ = folder_ / "net.safetensors";
    save_classifier(path_, network_.parameters(), network_.config(), {});
  }
  std::unique_ptr<FeatureNetwork> load() const {
    return load_feature_network(path_.string(), at::kCPU, at::kFloat);
  }

  TemporaryFolder folder_;
  Classifier network_;
  fs::path path_;
};

TEST_F(FashionLike, IsNotCalledFid) {
  const auto net = load();
  EXPECT_EQ(net->info().frechet_label(), "FD-FashionNet");
  EXPECT_EQ(net->info().frechet_key(), "fd_fashionnet");
  EXPECT_FALSE(net->info().inception);
  EXPECT_EQ(net->info().width, 16);
  EXPECT_EQ(net->info().spatial, 0);
  EXPECT_EQ(net->info().classes, 10);
  EXPECT_EQ(net->info().identity, identity_of(network_.parameters()));
}

TEST_F(FashionLike, PadsImagesLikeTheDataPipeline) {
  const at::Tensor images = at::randint(0, 256, {3, 27, 28, 1}, at::kByte);
  at::Tensor wanted = at::empty({3, 32, 32, 1}, at::kByte);
  for (std::int64_t b = 0; b < 3; ++b) {
    Image p{28, 27, 1, std::vector<std::uint8_t>(27 * 28)};
    std::memcpy(p.pixels.data(), images[b].const_data_ptr(), p.pixels.size());
    p = fitted(std::move(p), 32, Crop::none, "test");
    std::memcpy(wanted[b].mutable_data_ptr(), p.pixels.data(), p.pixels.size());
  }
  const at::NoGradGuard no_grad;
  const Classified y = network_(wanted.to(at::kFloat) / 127.5 - 1);
  const Features f = load()->extract(images);
  EXPECT_TRUE(at::equal(f.pooled, y.features));
  testing::expect_close(f.probabilities, y.logits.softmax(1), 1e-6, "probabilities");
  EXPECT_FALSE(f.spatial.defined());
  EXPECT_TRUE(at::equal(load()->extract(wanted).pooled, y.features));
}

TEST_F(FashionLike, RejectsColorAndLargerImages) {
  const auto net = load();
  expect_rejected(
      [&] {
        net->extract(at::zeros({1, 32, 32, 3}, at::kByte));
      },
      {"FashionNet", "grey", "[1, 32, 32, 3]"});
  expect_rejected(
      [&] {
        net->extract(at::zeros({1, 40, 32, 1}, at::kByte));
      },
      {"FashionNet", "32 x 32", "32 x 40", "--size 32"});
}

TEST_F(FashionLike, RejectsConfigLargerThanFile) {
  ClassifierConfig large = network_.config();
  large.channels = {1024, 8192, 16384};
  save_classifier(path_, network_.parameters(), large, {});
  expect_rejected([&] { load(); }, {"net.safetensors", "parameters"});
}

TEST_F(FashionLike, ListsEveryMismatchedTensor) {
  ClassifierConfig other = network_.config();
  other.classes = 11;
  save_classifier(path_, network_.parameters(), other, {});
  expect_rejected([&] { load(); }, {"net.safetensors", "fc.weight: wanted shape [11, 16], got [10, 16]"});
}

TEST(FeatureNetwork, DescribesExpectedFileForOthers) {
  const TemporaryFolder folder;
  const at::Tensor x = at::zeros({2});
  const std::vector<TensorView> views{view_of("x", x)};
  write_safetensors(folder / "other.safetensors", views, {});
  expect_rejected(
      [&] { load_feature_network((folder / "other.safetensors").string(), at::kCPU, at::kFloat); },
      {"other.safetensors", "Inception-v3"});
  expect_rejected([&] { load_feature_network("fashion-nett", at::kCPU, at::kFloat); },
                  {"feature network", "fashion-nett"});
}

TEST(FeatureNetwork, BundledNetworkClassifiesFashionMnist) {
  const fs::path clothes = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz";
  if (!fs::exists(clothes)) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const auto net = load_feature_network(
      (fs::path(DIFFIT_SOURCE_DIR) / "models/fashion-net.safetensors").string(), at::kCPU, at::kFloat);
  EXPECT_EQ(net->info().frechet_label(), "FD-FashionNet");
  const auto source = open_feature_source(clothes);
  constexpr std::int64_t kCount = 2000;
  double right = 0;
  for_each_batch(*source, 200, kCount, [&](const at::Tensor& images, std::int64_t first) {
    const at::Tensor guesses = net->extract(images).probabilities.argmax(1);
    for (std::int64_t i = 0; i < images.size(0); ++i)
      right += guesses[i].item<std::int64_t>() == source->images().label(first + i) ? 1 : 0;
  });
  // Accuracy is 0.9267 on all 10,000 images; three standard errors for 2,000 are 0.0175.
  EXPECT_NEAR(right / kCount, 0.9267, 0.0175);
}

}  // namespace
}  // namespace diffit::metrics
