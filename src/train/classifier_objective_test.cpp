// Tests training of the classifier.
#include <cmath>

#include "data/convert.h"
#include "model/classifier_file.h"
#include "model/convert_model.h"
#include "train/testing.h"

namespace diffit::training {
namespace {

using testing::ShadedImages;
using testing::shades;
using testing::small_classifier_recipe;
using testing::TemporaryFolder;

TrainingEnd train(const fs::path& folder, const Recipe& recipe, bool resume = false) {
  return run_training({recipe, shades(), folder, resume, at::kCPU, at::kFloat}, testing::ignored());
}

/// Writes shades() to a zip file for use as the held-out set.
std::string test_set(const TemporaryFolder& folder) {
  fs::create_directories(folder.path());
  const fs::path path = folder.path() / "test.zip";
  convert(ShadedImages(), path, {});
  return path.string();
}

TEST(ClassifierObjective, LossIsSmoothedCrossEntropy) {
  const Recipe recipe = small_classifier_recipe(64);
  const auto objective = make_objective(recipe, shades(), at::kCPU, at::kFloat);
  objective->seek(8);
  const double loss = objective->loss().item<double>();

  Classifier network(read_classifier_config(recipe.model, "model"));
  initialise(network.parameters(), 0);
  Loader loader(shades(), {.flip = 0.5}, 0, 8, 8, 0);
  const Batch batch = loader.next();
  double sum = 0;
  for (std::int64_t i = 0; i < 8; ++i) {
    const at::Tensor x =
        at::from_blob(const_cast<float*>(batch.images.data() + 64 * i), {1, 8, 8, 1}, at::kFloat);
    const at::Tensor nats = -network(x).logits.log_softmax(1)[0];
    sum += 0.9 * nats[batch.labels[static_cast<std::size_t>(i)]].item<double>() +
           0.1 * nats.mean().item<double>();
  }
  EXPECT_NEAR(loss, sum / 8, 1e-5 * loss);
}

TEST(ClassifierObjective, LearnsAndReportsHeldOutAccuracy) {
  const TemporaryFolder data, run;
  Recipe recipe = small_classifier_recipe(1600, test_set(data));
  recipe.train.snapshot_images = 1600;
  EXPECT_EQ(train(run.path(), recipe), TrainingEnd::finished);
  Json figures;
  std::istringstream stats(read_text(RunFolder(run.path()).stats(), 1 << 24));
  for (std::string line; std::getline(stats, line);) {
    const Json row = parse_json(line, "stats");
    if (row.contains("eval")) figures = row;
  }
  ASSERT_FALSE(figures.is_null());
  EXPECT_EQ(figures["images"], 1600);

  // Recomputes the metrics from the written file, one image at a time.
  const Classifier network =
      load_classifier(WeightsFile(RunFolder(run.path()).snapshot(1600, "ema")), at::kCPU);
  EXPECT_EQ(network.config().name, "Small");
  const at::NoGradGuard no_grad;
  double right = 0, nats = 0;
  for (std::int64_t i = 0; i < 64; ++i) {
    Image p = ShadedImages().read(i);
    const at::Tensor x = at::from_blob(p.pixels.data(), {1, 8, 8, 1}, at::kByte).to(at::kFloat) / 127.5 - 1;
    const at::Tensor logits = network(x).logits;
    right += logits.argmax(1).item<std::int64_t>() == i % 4 ? 1 : 0;
    nats -= logits.log_softmax(1)[0][i % 4].item<double>();
  }
  EXPECT_DOUBLE_EQ(figures["eval"]["accuracy"].get<double>(), right / 64);
  EXPECT_NEAR(figures["eval"]["cross_entropy"].get<double>(), nats / 64, 1e-5);
  EXPECT_GT(right / 64, 0.9);  // chance level is 0.25
}

TEST(ClassifierObjective, ResumedRunMatchesUninterruptedRun) {
  const TemporaryFolder data, whole, parts;
  const std::string test = test_set(data);
  train(whole.path(), small_classifier_recipe(40, test));
  train(parts.path(), small_classifier_recipe(24, test));
  train(parts.path(), small_classifier_recipe(40, test), true);
  const RunFolder a(whole.path()), b(parts.path());
  for (const char* name : {"", "ema"}) {
    EXPECT_EQ(read_text(a.snapshot(40, name), 1 << 24), read_text(b.snapshot(40, name), 1 << 24)) << name;
  }
}

TEST(ClassifierFile, ConvertsToHalfSize) {
  const TemporaryFolder run;
  train(run.path(), small_classifier_recipe(16));
  const WeightsFile full(RunFolder(run.path()).snapshot(16, "ema"));
  const fs::path half = run.path() / "half.safetensors";
  convert_model(full, half, Dtype::f16);
  const WeightsFile file(half);
  ASSERT_TRUE(holds_classifier(file));
  const auto weights = load_classifier(full, at::kCPU).parameters().items();
  const auto rounded = load_classifier(file, at::kCPU).parameters().items();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_TRUE(at::equal(weights[i].tensor.to(at::kHalf).to(at::kFloat), rounded[i].tensor))
        << weights[i].name;
  }
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

TEST(ClassifierRecipe, RejectsKeysOfOtherModels) {
  const auto reading = [](const std::string& toml) {
    return refusal([&] { read_recipe(parse_toml("[model]\nmodel = 'classifier'\n" + toml, "r"), "r"); });
  };
  EXPECT_NE(reading("[train]\nlabel_dropout = 0.1").find("label_dropout"), std::string::npos);
  EXPECT_NE(reading("[sample]\nsteps = 3").find("steps"), std::string::npos);
  EXPECT_NE(reading("[loss]\nkl_weight = 1").find("kl_weight"), std::string::npos);
  EXPECT_NE(reading("[data]\naugment = 0.1").find("augment"), std::string::npos);

  const auto resolving = [](const std::function<void(Recipe&)>& change) {
    Recipe recipe = small_classifier_recipe(16);
    change(recipe);
    return refusal([&] { resolve(recipe, shades(), "r"); });
  };
  EXPECT_NE(resolving([](Recipe& r) { r.model["classes"] = 3; }).find("classes"), std::string::npos);
  EXPECT_NE(resolving([](Recipe& r) { r.model["resolution"] = 16; }).find("16 x 16"), std::string::npos);
  EXPECT_NE(resolving([](Recipe& r) { r.data.test = "/nowhere.zip"; }).find("/nowhere.zip"),
            std::string::npos);
}

}  // namespace
}  // namespace diffit::training
