#include "metrics/reference.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "io/tensors/npz.h"
#include "metrics/testing.h"

namespace diffit::metrics {
namespace {

using testing::normals;

class ReferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("diffit-reference-{}", getpid());
    fs::create_directories(folder_);
    path_ = folder_ / "ref.npz";
  }
  void TearDown() override { fs::remove_all(folder_); }

  static Statistics some() {
    Moments pooled(5), spatial(7);
    pooled.add(normals(40, 5, 70));
    spatial.add(normals(40, 7, 71));
    Statistics s;
    s.info = {40, "TinyNet", "0123456789abcdef", 32, 24, 3, "zip somewhere"};
    s.pooled = pooled.gaussian();
    s.spatial = spatial.gaussian();
    s.features = normals(6, 5, 72).to(at::kFloat);
    return s;
  }
  void write(const std::vector<std::pair<std::string, at::Tensor>>& arrays) const {
    NpzWriter writer(path_);
    for (const auto& [name, tensor] : arrays) {
      const Dtype dtype = tensor.scalar_type() == at::kFloat    ? Dtype::f32
                          : tensor.scalar_type() == at::kDouble ? Dtype::f64
                                                                : Dtype::u8;
      writer.add(name, dtype, tensor.sizes(),
                 {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
    }
    writer.finish();
  }
  void refuses(const std::string& word) const {
    try {
      read_statistics(path_);
      ADD_FAILURE() << "was not refused: " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }

  fs::path folder_, path_;
};

TEST_F(ReferenceTest, RoundTrips) {
  const Statistics s = some();
  write_statistics(path_, s);
  EXPECT_TRUE(is_statistics(path_));
  const Statistics back = read_statistics(path_);
  EXPECT_EQ(write_fields(back.info), write_fields(s.info));
  EXPECT_TRUE(at::equal(back.pooled->mean, s.pooled->mean));
  EXPECT_TRUE(at::equal(back.spatial->covariance, (s.spatial->covariance + s.spatial->covariance.t()) / 2));
  EXPECT_TRUE(at::equal(back.features, s.features));
  EXPECT_EQ(back.pooled->count, 40);
  EXPECT_EQ(back.arr_images, 0);
}

TEST_F(ReferenceTest, ReadsImageSizeFromAdmAndNothingFromEdm) {
  const Statistics s = some();
  write({{"arr_0", at::zeros({4, 8, 6, 3}, at::kByte)},
         {"mu", s.pooled->mean.to(at::kFloat)},
         {"sigma", s.pooled->covariance}});
  const Statistics adm = read_statistics(path_);
  EXPECT_EQ(adm.arr_images, 4);
  EXPECT_EQ(adm.info.height, 8);
  EXPECT_EQ(adm.info.width, 6);
  EXPECT_EQ(adm.info.channels, 3);
  EXPECT_EQ(adm.pooled->count, 0);
  EXPECT_FALSE(adm.spatial.has_value());
  write({{"mu", s.pooled->mean}, {"sigma", s.pooled->covariance}});
  EXPECT_EQ(read_statistics(path_).info.height, 0);
  write({{"arr_0", at::zeros({4, 8, 6, 3}, at::kByte)}});
  EXPECT_FALSE(is_statistics(path_));
}

TEST_F(ReferenceTest, IsValidatedWhenRead) {
  const at::Tensor mu = at::zeros({3}, at::kDouble), sigma = at::eye(3, at::kDouble);
  write({{"mu", mu}, {"sigma", at::eye(4, at::kDouble)}});
  refuses("sigma");
  write({{"mu", mu.view({1, 3})}, {"sigma", sigma}});
  refuses("mu");
  write({{"mu", mu.to(at::kByte)}, {"sigma", sigma}});
  refuses("float");
  write({{"mu", mu}, {"sigma", sigma * std::numeric_limits<double>::quiet_NaN()}});
  refuses("NaN");
  write({{"mu", mu}, {"sigma", at::ones({3, 3}, at::kDouble).triu()}});
  refuses("symmetric");
  write({{"mu", mu}, {"sigma", sigma}, {"features", at::zeros({2, 4})}});
  refuses("features");
  write({{"mu", mu}, {"sigma", sigma}, {"mu_s", mu}});
  refuses("sigma_s");
  write({{"mu", mu}, {"sigma", sigma}, {"diffit", at::full({5}, 'x', at::kByte)}});
  refuses("JSON");
  write({{"mu", mu}, {"sigma", sigma}, {"arr_0", at::zeros({4, 8, 6}, at::kByte)}});
  refuses("arr_0");
}

TEST_F(ReferenceTest, RejectsOtherNetwork) {
  const Statistics s = some();
  FeatureInfo network{
      .name = "TinyNet", .identity = "0123456789abcdef", .width = 5, .spatial = 7, .classes = 2};
  EXPECT_NO_THROW(check_network(s, network, "ref"));
  network.identity = "fedcba9876543210";
  EXPECT_THROW(check_network(s, network, "ref"), Error);
  Statistics untold = s;
  untold.info.identity.clear();
  EXPECT_NO_THROW(check_network(untold, network, "ref"));
  network.width = 6;
  EXPECT_THROW(check_network(untold, network, "ref"), Error);
  network.width = 5;
  network.spatial = 8;
  EXPECT_THROW(check_network(untold, network, "ref"), Error);
}

}  // namespace
}  // namespace diffit::metrics
