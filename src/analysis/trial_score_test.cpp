// Features of the data that are kept for the next process.
#include "analysis/trial_score.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "io/tensors/safetensors.h"
#include "nn/layers/weights_io.h"
#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

using testing::TemporaryFolder;

/// Grey images, all of one brightness.
class Even : public ImageSource {
 public:
  Even(std::uint8_t level, std::int64_t count) : level_(level), count_(count) {}
  std::int64_t size() const override { return count_; }
  Image read(std::int64_t index) const override {
    return {4, 4, 1, std::vector<std::uint8_t>(16, static_cast<std::uint8_t>(level_ + index % 3))};
  }
  std::int64_t classes() const override { return 0; }
  std::int64_t label(std::int64_t) const override { return 0; }
  std::string describe() const override { return "a folder"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }

 private:
  std::uint8_t level_;
  std::int64_t count_;
};

/// The mean and the first pixel; counts how often it was asked.
class Means : public FeatureNetwork {
 public:
  const FeatureInfo& info() const override { return info_; }
  Features extract(const at::Tensor& samples) const override {
    ++asked;
    const at::Tensor flat = samples.to(at::kFloat).flatten(1);
    return {at::stack({flat.mean(1), flat.select(1, 0)}, 1), {}, {}};
  }
  mutable int asked = 0;

 private:
  FeatureInfo info_{.name = "Means", .identity = "00000000000000aa", .width = 2};
};

Dataset set_of(std::uint8_t level, std::int64_t count = 20) {
  return Dataset(std::make_unique<Even>(level, count));
}

fs::path only_file(const TemporaryFolder& folder) {
  return fs::directory_iterator(folder.path())->path();
}

TEST(KeptFeatures, AreReusedOnlyForTheSameData) {
  const TemporaryFolder folder;
  const Means network;
  const Gaussian first = kept_features_of(set_of(10), network, folder.path());
  EXPECT_EQ(network.asked, 1);
  const Gaussian again = kept_features_of(set_of(10), network, folder.path());
  EXPECT_EQ(network.asked, 1);
  EXPECT_TRUE(at::equal(first.mean, again.mean));
  EXPECT_EQ(again.count, 20);
  // The same place and count, other images: another file.
  EXPECT_NE(kept_features_of(set_of(90), network, folder.path()).mean[0].item<double>(),
            first.mean[0].item<double>());
  EXPECT_EQ(network.asked, 2);
  kept_features_of(set_of(10, 21), network, folder.path());
  EXPECT_EQ(network.asked, 3);
}

TEST(KeptFeatures, DamagedOrOtherFileIsRecomputed) {
  const TemporaryFolder folder;
  const Means network;
  const Gaussian right = kept_features_of(set_of(10), network, folder.path());
  const fs::path path = only_file(folder);
  const auto expect_made_again = [&](int asked) {
    EXPECT_TRUE(at::equal(kept_features_of(set_of(10), network, folder.path()).mean, right.mean));
    EXPECT_EQ(network.asked, asked);
  };
  fs::resize_file(path, fs::file_size(path) - 1);
  expect_made_again(2);
  const at::Tensor mean = at::ones({2}, at::kDouble), covariance = at::eye(2, at::kDouble);
  const TensorView views[] = {view_of("mean", mean), view_of("covariance", covariance)};
  Metadata metadata = SafetensorsFile(path).metadata();
  write_safetensors(path, views, {{"network", "Means"}, {"data", "a folder"}});
  expect_made_again(3);
  metadata["pictures"] = "19";
  write_safetensors(path, views, metadata);
  expect_made_again(4);
  const at::Tensor narrow = at::ones({1}, at::kDouble);
  const TensorView wrong[] = {view_of("mean", narrow), view_of("covariance", covariance)};
  metadata["pictures"] = "20";
  write_safetensors(path, wrong, metadata);
  expect_made_again(5);
  expect_made_again(5);
}

}  // namespace
}  // namespace diffit::analysis
