#include "nn/features/classifier.h"

#include <numeric>

#include "base/test_folder.h"
#include "kernels/testing.h"
#include "nn/layers/testing.h"
#include "runtime/pch.h"

namespace diffit::nn {
namespace {

ClassifierConfig small() {
  ClassifierConfig config;
  config.resolution = 8;
  config.channels = {8, 16};
  config.norm_groups = 2;
  config.classes = 3;
  return config;
}

Classifier started(const ClassifierConfig& config) {
  Classifier network(config);
  initialise(network.parameters(), 1);
  return network;
}

TEST(Classifier, FeaturesAreMeanOfLastMapAndLogitsAreLinear) {
  const Classifier network = started(small());
  const at::Tensor x = at::randn({5, 8, 8, 1});
  const Classified y = network(x);
  EXPECT_EQ(y.features.sizes(), (std::vector<std::int64_t>{5, 16}));
  EXPECT_EQ(y.logits.sizes(), (std::vector<std::int64_t>{5, 3}));
  const Parameter& fc = network.parameters().items().back();
  EXPECT_EQ(fc.name, "fc.weight");
  testing::expect_close(y.logits, y.features.matmul(fc.tensor.t()), 1e-5, "logits");
  // SiLU is never below -0.2785, and neither is the mean of its outputs.
  EXPECT_GT(y.features.min().item<double>(), -0.2785);
}

TEST(Classifier, CostMatchesParametersAndMacs) {
  for (const std::int64_t blocks : {0, 1, 2}) {
    ClassifierConfig config = small();
    config.blocks = blocks;
    const PartCost all = total(cost_of(config));
    EXPECT_EQ(all.parameters, Classifier(config).parameters().count());
    expect_describes(describe(config), Classifier(config).parameters());
    // The stem, the downsampling convolution, then blocks at 4 x 4 and 2 x 2.
    const double macs = 9 * 8 * 16 + 9 * 8 * 16 * 4 + 16 * 3 +
                        static_cast<double>(blocks) * 2 * (9 * 8 * 8 * 16 + 9 * 16 * 16 * 4);
    EXPECT_DOUBLE_EQ(all.layer_macs, macs);
  }
}

TEST(Classifier, GradientsMatchFiniteDifferences) {
  const Classifier network = started(small());
  const at::Tensor x = at::randn({4, 8, 8, 1}).to(at::kDouble);
  network.parameters().to(at::kDouble);
  for (const Parameter& p : network.parameters()) p.tensor.set_requires_grad(true);
  const at::Tensor labels = at::tensor({0, 1, 2, 1}, at::kLong);
  const auto loss = [&] { return at::cross_entropy_loss(network(x).logits, labels); };
  loss().backward();
  const at::NoGradGuard no_grad;
  for (const Parameter& p : network.parameters()) {
    at::manual_seed(9);
    const at::Tensor direction = at::randn_like(p.tensor);
    const double slope = (p.tensor.grad() * direction).sum().item<double>();
    const double step = 1e-4 / direction.norm().item<double>();
    p.tensor.add_(direction, step);
    const double above = loss().item<double>();
    p.tensor.add_(direction, -2 * step);
    const double below = loss().item<double>();
    p.tensor.add_(direction, step);
    // The error of the difference is the third derivative times the squared step, plus the rounding of the
    // loss.
    EXPECT_NEAR((above - below) / (2 * step), slope, 1e-5 * std::abs(slope) + 1e-15 / step) << p.name;
  }
}

TEST(ClassifierConfig, RejectsContradictoryFields) {
  const auto refused = [](const Json& change, const std::string& reason) {
    Json object = write_classifier_config(small());
    object.update(change);
    testing::expect_rejected([&] { read_classifier_config(object, "file"); }, {"file", reason});
  };
  EXPECT_EQ(read_classifier_config(write_classifier_config(small()), "file").channels, small().channels);
  refused({{"resolution", 6}}, "halved");
  refused({{"norm_groups", 3}}, "groups");
  refused({{"channels", Json::array()}}, "stages");
  refused({{"name", "a b"}}, "name");
  refused({{"in_channels", 2}}, "in_channels");
  refused({{"chanels", {8}}}, "channels");
  refused({{"model", "vae"}}, "classifier");
}

TEST(Classifier, RejectsImagesOfWrongShape) {
  const Classifier network = started(small());
  testing::expect_rejected([&] { network(at::zeros({1, 8, 8, 3})); }, {"FashionNet", "[1, 8, 8, 3]"});
}

}  // namespace
}  // namespace diffit::nn
