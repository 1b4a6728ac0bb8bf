// What the tests of this layer share: a small set of images, a small recipe, a folder of their own.
#pragma once

#include <gtest/gtest.h>

#include <atomic>

#include "base/test_folder.h"
#include "train/run.h"

namespace diffit::testing {

using namespace training;

/// Passes events on to functions; cancelled while *stop.
struct TrainingListener : TrainMonitor {
  std::function<void(const TrainStep&)> stepped;
  std::function<void(const std::string&)> said;
  const std::atomic<bool>* stop = nullptr;

  void step(const TrainStep& status) override {
    if (stepped) stepped(status);
  }
  void note(const std::string& text) override {
    if (said) said(text);
  }
  void warning(const std::string& text) override {
    if (said) said("warning: " + text);
  }
  bool cancelled() override { return stop != nullptr && *stop; }
};

/// A monitor that ignores everything.
inline TrainMonitor& ignored() {
  static TrainMonitor monitor;
  return monitor;
}

/// 64 grey 8 x 8 images of four classes, each brighter than the class before it.
class ShadedImages : public ImageSource {
 public:
  std::int64_t size() const override { return 64; }
  Image read(std::int64_t index) const override {
    Image p{8, 8, 1, std::vector<std::uint8_t>(64)};
    Random random(5, stream_of(Purpose::test, static_cast<std::uint64_t>(index)));
    for (std::uint8_t& pixel : p.pixels)
      pixel = static_cast<std::uint8_t>(60 * label(index) + random.below(40));
    return p;
  }
  std::int64_t classes() const override { return 4; }
  std::int64_t label(std::int64_t index) const override { return index % 4; }
  std::string describe() const override { return "shades"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }
};

inline std::shared_ptr<const Dataset> shades() {
  return std::make_shared<const Dataset>(std::make_unique<ShadedImages>());
}

/// Resolved against shades().
inline Recipe small_recipe(std::int64_t images) {
  Json toml = {
      {"model", {{"channels", {8, 16}}, {"depth", {1, 1}}, {"head_dim", 8}, {"mlp_ratio", 1.0}}},
      {"train",
       {{"images", images}, {"batch", 8}, {"snapshot_images", 16}, {"dtype", "f32"}, {"label_dropout", 0.2}}},
      {"data", {{"flip", 0.5}}},
      {"optimiser", {{"name", "adamw"}, {"lr", 3e-3}, {"warmup_images", 16}, {"weight_decay", 0.01}}},
      {"ema", {{"half_life_images", 40}}},
      {"sample", {{"pictures", 4}, {"steps", 2}}}};
  Recipe recipe = read_recipe(toml, "small");
  resolve_model(recipe, 8, 1, 4, "small");
  return recipe;
}

/// The same of a DDPM++ with dropout.
inline Recipe small_ddpmpp_recipe(std::int64_t images) {
  Recipe recipe = small_recipe(images);
  recipe.model.update({{"encoder", "ddpmpp"}, {"decoder", "ddpmpp"}, {"dropout", 0.25}});
  return recipe;
}

/// An autoencoder's, resolved against shades(): latents of 2 x 4 x 4.
inline Recipe small_vae_recipe(std::int64_t images) {
  const Json toml = {
      {"model",
       {{"model", "vae"}, {"channels", {4, 8}}, {"blocks", 1}, {"norm_groups", 2}, {"latent_channels", 2}}},
      {"train", {{"images", images}, {"batch", 8}, {"snapshot_images", 16}, {"dtype", "f32"}}},
      {"data", {{"flip", 0.5}}},
      {"optimiser", {{"lr", 3e-3}}},
      {"ema", {{"half_life_images", 40}, {"power", Json::array()}}},
      {"sample", {{"pictures", 4}}}};
  Recipe recipe = read_recipe(toml, "small vae");
  resolve(recipe, shades(), "small vae");
  return recipe;
}

/// A classifier's, resolved against shades(), which it is also measured on where `test` names a set.
inline Recipe small_classifier_recipe(std::int64_t images, const std::string& test = "") {
  const Json toml = {
      {"model", {{"model", "classifier"}, {"channels", {8, 8}}, {"norm_groups", 2}, {"name", "Small"}}},
      {"train", {{"images", images}, {"batch", 8}, {"snapshot_images", 16}, {"dtype", "f32"}}},
      {"data", {{"flip", 0.5}, {"test", test}}},
      {"optimiser", {{"lr", 3e-3}}},
      {"ema", {{"half_life_images", 40}, {"power", Json::array()}}},
      {"loss", {{"label_smoothing", 0.1}}}};
  Recipe recipe = read_recipe(toml, "small classifier");
  resolve(recipe, shades(), "small classifier");
  return recipe;
}

/// A latent model's, not yet resolved.
inline Recipe small_latent_recipe(std::int64_t images) {
  const Json toml = {
      {"model", {{"model", "latent"}, {"patch", 2}, {"hidden", 16}, {"depth", 1}, {"heads", 2}}},
      {"train",
       {{"images", images}, {"batch", 8}, {"snapshot_images", 16}, {"dtype", "f32"}, {"label_dropout", 0.2}}},
      {"data", {{"flip", 0.5}}},
      {"optimiser", {{"lr", 3e-3}}},
      {"ema", {{"half_life_images", 40}}},
      {"sample", {{"pictures", 4}, {"steps", 2}}}};
  return read_recipe(toml, "small latent");
}

}  // namespace diffit::testing
