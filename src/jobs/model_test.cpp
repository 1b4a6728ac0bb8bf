#include "diffit/model.h"

#include <thread>

#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"
#include "diffusion/vp_as_ve.h"
#include "jobs/testing.h"

namespace diffit::testing {
namespace {

void expect_near(const std::vector<float>& got, const at::Tensor& wanted, double bound) {
  const std::vector<float> values = floats_of(wanted);
  ASSERT_EQ(got.size(), values.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], values[i], bound) << i;
}

TEST(Model, ImageSpaceModelsDenoiseAsTheirNetwork) {
  const TemporaryFolder folder;
  for (const bool ddpmpp : {false, true}) {
    ImageConfig config = small_image_config();
    if (ddpmpp) {
      config.encoder = Encoder::ddpmpp;
      config.decoder = Decoder::ddpmpp;
      config.time = TimePath::add;
      config.precondition = Schedule::vp;
    }
    const Model model =
        open_model(write_small_model<ImageDiffiT>(folder / "m.safetensors", config), on_cpu());
    const at::Tensor x = normal_of({3, 1, 8, 8}, 1);
    const std::vector<float> sigma{0.1F, 1, 40};
    const std::vector<std::int64_t> labels{0, 3, 2};
    ImageDiffiT network(config);
    randomise(network.parameters());
    const at::NoGradGuard no_grad;
    Condition condition;
    condition.labels = at::tensor(labels);
    expect_near(model.denoise(floats_of(x), sigma, labels),
                denoise_images(network, x, at::tensor(sigma), condition), 1e-4);
    EXPECT_EQ(model.info().network, ddpmpp ? "ddpmpp" : "diffit");
    EXPECT_EQ(model.info().prediction, ddpmpp ? "eps" : "edm");
    EXPECT_EQ(model.info().schedule, ddpmpp ? "vp" : "edm");
    EXPECT_FALSE(model.info().latent);
  }
}

TEST(Model, LatentModelsDenoiseAtTheirTimesteps) {
  const TemporaryFolder folder;
  const LatentConfig config = small_latent_config();
  const Model model = open_model(write_small_model<LatentDiffiT>(folder / "m.safetensors", config), on_cpu());
  EXPECT_TRUE(model.info().latent && model.info().learned_variance);
  EXPECT_EQ(model.info().schedule, "vp_linear");
  EXPECT_NEAR(model.info().sigma_min, 0.01, 0.001);
  LatentDiffiT network(config);
  randomise(network.parameters());
  const at::NoGradGuard no_grad;
  const VpSchedule schedule = timesteps_of(Schedule::vp_linear);
  const LatentNetwork latent = latent_network(network, at::kFloat);
  const at::Tensor x = normal_of({2, 4, 8, 8}, 2);
  // Without labels: the null label.
  const NoisePredictor predict = [&](const at::Tensor& scaled, std::int64_t t) {
    const at::Tensor none = at::full({2}, config.classes, at::TensorOptions(at::kLong));
    return NoisePrediction{latent(scaled, static_cast<double>(t), none).narrow(1, 0, 4), {}};
  };
  for (const std::int64_t step : {0, 400, 999}) {
    const double sigma = schedule.sigma(step);
    const std::vector<float> levels(2, static_cast<float>(sigma));
    expect_near(model.denoise(floats_of(x), levels), as_denoiser(predict, schedule)(x, sigma),
                1e-4 * (1 + sigma));
  }
}

TEST(Model, LatentPredictionsOfOtherQuantitiesAreConverted) {
  const TemporaryFolder folder;
  LatentConfig config = small_latent_config();
  config.prediction = Prediction::v;
  config.learned_variance = false;
  const Model model = open_model(write_small_model<LatentDiffiT>(folder / "m.safetensors", config), on_cpu());
  EXPECT_EQ(model.info().prediction, "v");
  LatentDiffiT network(config);
  randomise(network.parameters());
  const at::NoGradGuard no_grad;
  const double sigma = timesteps_of(Schedule::vp_linear).sigma(500), alpha = 1 / std::sqrt(1 + sigma * sigma);
  const at::Tensor x_t = normal_of({1, 4, 8, 8}, 3);
  const at::Tensor v = network(x_t, at::full({1}, 500.0), at::full({1}, 1, at::TensorOptions(at::kLong)));
  // x_0 = alpha x_t - s v (Salimans and Ho 2022).
  expect_near(model.denoise(floats_of(x_t / alpha), std::vector<float>{static_cast<float>(sigma)},
                            std::vector<std::int64_t>{1}),
              alpha * x_t - sigma * alpha * v, 1e-4);
}

TEST(Model, StatesItsConfiguration) {
  const TemporaryFolder folder;
  const ImageConfig config = small_image_config();
  const ImageDiffiT network(config);
  randomise(network.parameters());
  save_model(folder / "m.safetensors", network.parameters(), config,
             {{kClassNamesKey, R"(["cat", ["dog", "hound"], "owl"])"}});
  const ModelInfo info = open_model((folder / "m.safetensors").string(), on_cpu()).info();
  EXPECT_EQ(info.class_names, (std::vector<std::string>{"cat", "dog", "owl"}));
  EXPECT_EQ(info.channels, 1);
  EXPECT_EQ(info.resolution, 8);
  EXPECT_EQ(info.classes, 3);
  std::int64_t parameters = 0;
  for (const Parameter& p : network.parameters()) {
    if (p.tensor.is_floating_point()) parameters += p.tensor.numel();
  }
  EXPECT_EQ(info.parameters, parameters);
  EXPECT_EQ(Json::parse(info.config), write_model_config(config));
  EXPECT_EQ(info.device, "cpu");
}

TEST(Model, WrongInputsAreErrorsThatNameThem) {
  const TemporaryFolder folder;
  const Model model =
      open_model(write_small_model<ImageDiffiT>(folder / "m.safetensors", small_image_config()), on_cpu());
  const std::vector<float> x(64), one{1};
  const std::vector<std::int64_t> four{4}, two{1, 1};
  expect_rejected([&] { model.denoise(std::vector<float>(63), one); }, {"`x`", "wanted 64", "63"});
  expect_rejected([&] { model.denoise(x, {}); }, {"`sigma`", "none"});
  expect_rejected([&] { model.denoise(x, std::vector<float>{0}); }, {"`sigma`", "above 0"});
  expect_rejected([&] { model.denoise(x, one, four); }, {"`labels`", "0 to 3", "got 4"});
  expect_rejected([&] { model.denoise(x, one, two); }, {"`labels`", "wanted 1", "got 2"});
  expect_rejected([&] { model.denoise(std::vector<float>(64, NAN), one); }, {"`x`", "NaN"});
  expect_rejected([&] { open_model((folder / "none.safetensors").string(), on_cpu()); }, {"none"});
  EXPECT_FALSE(Model());
}

TEST(Model, CallsFromSeveralThreadsGiveTheSameNumbers) {
  const TemporaryFolder folder;
  const Model model =
      open_model(write_small_model<LatentDiffiT>(folder / "m.safetensors", small_latent_config()), on_cpu());
  const std::vector<float> x = floats_of(normal_of({1, 4, 8, 8}, 4));
  const auto level = [](int i) { return std::vector<float>{0.1F * static_cast<float>(i + 1)}; };
  std::vector<std::vector<float>> wanted, got(8);
  for (int i = 0; i < 8; ++i) wanted.push_back(model.denoise(x, level(i)));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { got[static_cast<std::size_t>(i)] = model.denoise(x, level(i)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(got, wanted);
}

}  // namespace
}  // namespace diffit::testing
