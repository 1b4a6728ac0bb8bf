// Caches of latents: what is written is read, in the order of the images' loader; what does not belong
// together is refused.
#include "data/latents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace diffit::data {
namespace {

class Latents : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              fmt::format("diffit-latents-{}-{}", getpid(),
                          ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    info_ = {.vae = "tiny",
             .scale = 0.5,
             .source = "pictures",
             .images = 3,
             .channels = 1,
             .height = 2,
             .width = 2,
             .classes = 3};
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Image i has the mean 10 i + k at number k, its mirror image the negative, and the variance 1.
  LatentShard shard(std::int64_t index) const {
    LatentShard shard;
    shard.index = index;
    const std::int64_t first = index * info_.shard_images();
    const std::int64_t last = std::min(first + info_.shard_images(), info_.images);
    for (std::int64_t i = first; i < last; ++i) {
      shard.labels.push_back(i % info_.classes);
      for (std::int64_t k = 0; k < info_.numbers(); ++k) {
        const bool is_mean = k < info_.numbers() / 2;
        shard.moments.push_back(is_mean ? static_cast<float>(10 * i + k) : 0);
        shard.flipped.push_back(is_mean ? -static_cast<float>(10 * i + k) : 0);
      }
    }
    return shard;
  }
  void write() const {
    for (std::int64_t index = 0; index < info_.shards(); ++index) {
      write_latent_shard(folder_, info_, shard(index));
    }
  }
  std::string refusal() const {
    try {
      const LatentDataset dataset(folder_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      return error.what();
    }
    ADD_FAILURE() << "was not refused";
    return "";
  }

  fs::path folder_;
  LatentInfo info_;
};

TEST_F(Latents, WhatIsWrittenIsRead) {
  write();
  const LatentDataset dataset(folder_);
  EXPECT_EQ(dataset.size(), 3);
  EXPECT_EQ(dataset.info().vae, "tiny");
  EXPECT_EQ(dataset.info().classes, 3);
  std::vector<float> out(8);
  dataset.read(2, false, out);
  EXPECT_EQ(out, (std::vector<float>{20, 21, 22, 23, 0, 0, 0, 0}));
  dataset.read(1, true, out);
  EXPECT_EQ(out, (std::vector<float>{-10, -11, -12, -13, 0, 0, 0, 0}));
  EXPECT_EQ(dataset.label(2), 2);
}

TEST_F(Latents, ClassesHaveNamesAndCounts) {
  info_.class_names = {"cat", "dog", "emu"};
  info_.images = 4;
  write();
  const LatentDataset dataset(folder_);
  EXPECT_EQ(dataset.info().class_names, info_.class_names);
  EXPECT_EQ(dataset.class_counts(), (std::vector<std::int64_t>{2, 1, 1}));
}

TEST_F(Latents, StatisticsDescribeScaledSamples) {
  write();
  double sum = 0, squares = 0;
  for (const double mean : {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23}) {
    sum += 0.5 * mean;
    squares += 0.25 * (mean * mean + 1);
  }
  const LatentInfo info = LatentDataset(folder_).info();
  EXPECT_NEAR(info.mean, sum / 12, 1e-12);
  EXPECT_NEAR(info.deviation, std::sqrt(squares / 12 - sum * sum / 144), 1e-12);
}

TEST_F(Latents, ShardsMakeOneSet) {
  info_.images = 5;
  info_.height = info_.width = 4096;  // a quarter of a GiB an image and its mirror image
  EXPECT_EQ(info_.shard_images(), 2);
  EXPECT_EQ(info_.shards(), 3);
  info_.height = info_.width = 32;
  info_.channels = 4;
  EXPECT_EQ(info_.shard_images(), 8192);
  info_.height = info_.width = 8;
  EXPECT_EQ(info_.shard_images(), 10000);

  info_.images = 20001;
  info_.height = info_.width = info_.channels = 1;
  write();
  const LatentDataset dataset(folder_);
  std::vector<float> out(2);
  for (const std::int64_t index : {0, 9999, 10000, 20000}) {
    dataset.read(index, false, out);
    EXPECT_EQ(out[0], static_cast<float>(10 * index));
    EXPECT_EQ(dataset.label(index), index % 3);
  }
  fs::remove(folder_ / "latents-00001.safetensors");
  EXPECT_NE(refusal().find("1 of 3 shards"), std::string::npos) << refusal();
}

TEST_F(Latents, BatchesMatchLoaderOrderAndMirroring) {
  write();
  const LatentDataset dataset(folder_);
  LatentBatch batch;
  read_batch(dataset, 0.5, 7, 2, 4, batch);  // crosses the end of an epoch of three
  for (std::uint64_t i = 0; i < 4; ++i) {
    const std::uint64_t n = 2 + i;
    const auto index =
        static_cast<std::int64_t>(permuted(n % 3, 3, 7, stream_of(Purpose::data_order, n / 3)));
    const bool mirrored = Random(7, stream_of(Purpose::augmentation, n)).uniform() < 0.5;
    std::vector<float> wanted(8);
    dataset.read(index, mirrored, wanted);
    EXPECT_EQ(std::vector<float>(batch.moments.begin() + static_cast<std::ptrdiff_t>(8 * i),
                                 batch.moments.begin() + static_cast<std::ptrdiff_t>(8 * i + 8)),
              wanted);
    EXPECT_EQ(batch.labels[i], index);
  }
}

TEST_F(Latents, RejectsShardsOfOtherVaeScaleOrDataSet) {
  info_.images = 20001;
  info_.height = info_.width = info_.channels = 1;
  write();
  EXPECT_TRUE(has_latent_shard(folder_, info_, 1));
  EXPECT_FALSE(has_latent_shard(folder_, info_, 3));
  const LatentInfo right = info_;
  const auto other = [&](auto&& change) {
    info_ = right;
    change(info_);
    write_latent_shard(folder_, info_, shard(1));
    return refusal();
  };
  EXPECT_NE(other([](LatentInfo& i) { i.vae = "another"; }).find("another"), std::string::npos);
  EXPECT_NE(other([](LatentInfo& i) { i.scale = 1; }).find("scale"), std::string::npos);
  EXPECT_NE(other([](LatentInfo& i) { i.source = "others"; }).find("others"), std::string::npos);
  info_ = right;
  EXPECT_THROW(has_latent_shard(folder_, info_, 1), Error);
  write_latent_shard(folder_, info_, shard(0));
  fs::copy_file(folder_ / "latents-00000.safetensors", folder_ / "latents-00001.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_NE(refusal().find("beginning with image 10000"), std::string::npos) << refusal();
}

TEST_F(Latents, RejectsBadLabelsAndMissingTensors) {
  LatentShard wrong = shard(0);
  wrong.labels[1] = 3;
  write_latent_shard(folder_, info_, wrong);
  EXPECT_NE(refusal().find("label 3"), std::string::npos);
  const std::vector<float> none(8);
  const std::vector<TensorView> views{{"moments", Dtype::f32, {1, 2, 2, 2}, std::as_bytes(std::span(none))}};
  write_safetensors(folder_ / "latents-00000.safetensors", views, {});
  EXPECT_NE(refusal().find("diffit.latents"), std::string::npos);
}

}  // namespace
}  // namespace diffit::data
