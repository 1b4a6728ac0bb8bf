// explain, diagnose, robustness and denoise through their public headers.
#include <cmath>

#include "diffit/denoise.h"
#include "diffit/diagnose.h"
#include "diffit/explain.h"
#include "diffit/model.h"
#include "diffit/robustness.h"
#include "jobs/testing.h"
#include "nn/layers/weights_io.h"

namespace diffit::testing {
namespace {

class AnalysisJobs : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string model_ = write_small_model<ImageDiffiT>(folder_ / "m.safetensors", small_image_config());
  std::string data_ = write_images(folder_ / "data", 6);
};

TEST_F(AnalysisJobs, ExplainReturnsWhatItsJsonStates) {
  const std::string page = (folder_ / "time.html").string();
  const ExplainResult result = explain({.model = model_, .images = 2, .levels = 3, .out = page}, on_cpu());
  EXPECT_EQ(result.time, "tmsa");
  ASSERT_EQ(result.trained.sigmas.size(), 3U);
  EXPECT_LT(result.trained.sigmas.front(), result.trained.sigmas.back());
  ASSERT_FALSE(result.trained.layers.empty());
  EXPECT_EQ(result.untrained.layers.size(), result.trained.layers.size());
  for (const ExplainResult::Layer& layer : result.trained.layers) {
    ASSERT_EQ(layer.levels.size(), 3U);
    EXPECT_GT(layer.levels[0].attention, 0);
  }
  const Json json = Json::parse(result.json);
  EXPECT_EQ(json["trained"]["layers"][0]["layer"], result.trained.layers[0].name);
  EXPECT_EQ(json["time"], "tmsa");
  EXPECT_NE(result.markdown.find(result.trained.layers[0].name), std::string::npos);
  EXPECT_TRUE(fs::exists(page));
}

TEST_F(AnalysisJobs, ExplainStopsAndWritesNothing) {
  const std::string page = (folder_ / "time.html").string();
  CancelsAfter monitor(2);
  EXPECT_EQ(kind_of_error([&] {
              explain({.model = model_, .data = data_, .images = 2, .levels = 3, .out = page}, on_cpu(),
                      monitor);
            }),
            ErrorKind::cancelled);
  EXPECT_FALSE(fs::exists(page));
  expect_rejected([&] { explain({.model = model_, .images = 0}, on_cpu()); }, {"`images`"});
  expect_rejected([&] { explain({.model = model_, .levels = 1}, on_cpu()); }, {"`levels`"});
  expect_rejected([&] { explain({.model = model_, .sigma_min = 3, .sigma_max = 2}, on_cpu()); },
                  {"`sigma_max`", "`sigma_min`"});
}

TEST_F(AnalysisJobs, DiagnoseComparesAModelWithItself) {
  const DiagnoseSpec spec{.model = model_, .data = data_, .against = model_, .images = 6, .levels = 3};
  const DiagnoseResult result = diagnose(spec, on_cpu());
  ASSERT_EQ(result.levels.size(), 3U);
  EXPECT_GT(result.levels.front().sigma, result.levels.back().sigma);
  for (const LevelDiagnosis& level : result.levels) {
    EXPECT_GT(level.error, 0);
    EXPECT_DOUBLE_EQ(level.share.value, level.error / level.linear);
    ASSERT_TRUE(level.ratio);
    EXPECT_DOUBLE_EQ(level.ratio->value, 1);
  }
  ASSERT_GE(result.findings.size(), 2U);
  EXPECT_FALSE(result.findings[1].raised) << result.findings[1].name;
  EXPECT_EQ(Json::parse(result.json)["model"], model_);
  CancelsAfter monitor(0);
  EXPECT_EQ(kind_of_error([&] { diagnose(spec, on_cpu(), monitor); }), ErrorKind::cancelled);
  expect_rejected([&] { diagnose({.model = model_, .data = data_, .samples = data_}, on_cpu()); },
                  {"`samples`", "`features`"});
}

TEST_F(AnalysisJobs, RobustnessMeasuresEverySet) {
  RobustnessSpec spec{.model = model_,
                      .data = {data_, write_images(folder_ / "other", 4)},
                      .corruptions = "none",
                      .images = 6,
                      .levels = 2,
                      .likelihood_steps = 2};
  const RobustnessResult result = robustness(spec, on_cpu());
  ASSERT_EQ(result.sets.size(), 2U);
  EXPECT_EQ(result.sets[0].images, 6);
  EXPECT_EQ(result.sets[1].images, 4);
  ASSERT_EQ(result.sigmas.size(), 2U);
  for (const RobustnessResult::Set& set : result.sets) {
    ASSERT_EQ(set.errors.size(), 2U);
    EXPECT_LE(set.errors[0].low, set.errors[0].value);
    ASSERT_TRUE(set.bits && set.separation);
    EXPECT_TRUE(std::isfinite(set.bits->value));
  }
  EXPECT_DOUBLE_EQ(*result.sets[0].separation, 0.5);
  spec.likelihood_steps = 0;
  EXPECT_FALSE(robustness(spec, on_cpu()).sets[0].bits);
  CancelsAfter monitor(1);
  EXPECT_EQ(kind_of_error([&] { robustness(spec, on_cpu(), monitor); }), ErrorKind::cancelled);
  spec.corruptions = "some";
  expect_rejected([&] { robustness(spec, on_cpu()); }, {"`corruptions`", "some"});
}

TEST_F(AnalysisJobs, DenoiseWritesWhatTheOpenModelComputes) {
  const std::string in = (folder_ / "in.safetensors").string(), out = (folder_ / "out.safetensors").string();
  const at::Tensor x = normal_of({2, 1, 8, 8}, 1), sigma = at::tensor({0.5F, 2.0F}),
                   y = at::tensor(std::vector<std::int64_t>{1, 3});
  const TensorView views[] = {view_of("x", x), view_of("sigma", sigma), view_of("y", y)};
  write_safetensors(in, views, {});
  DenoiseSpec spec{.model = model_, .in = in, .out = out};
  spec.guidance.scale = 2;
  const DenoiseResult result = denoise(spec, on_cpu());
  ASSERT_EQ(result.tensors.size(), 3U);
  EXPECT_EQ(result.tensors[1].name, "denoised");
  EXPECT_EQ(result.tensors[1].shape, (std::vector<std::int64_t>{2, 1, 8, 8}));
  const std::vector<float> wanted =
      open_model(model_, on_cpu()).denoise(floats_of(x), floats_of(sigma), std::vector<std::int64_t>{1, 3});
  EXPECT_EQ(floats_of(to_tensor(SafetensorsFile(out).at("denoised"))), wanted);
  spec.guidance.interval = "0,1";
  expect_rejected([&] { denoise(spec, on_cpu()); }, {"`guidance_interval`"});
}

}  // namespace
}  // namespace diffit::testing
