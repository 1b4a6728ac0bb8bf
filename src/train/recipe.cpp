#include "train/recipe.h"

#include <algorithm>
#include <array>

namespace diffit {

namespace {

template <class V>
void visit_sections(V&& v, Recipe& r) {
  v("data", r.data);
  v("train", r.train);
  v("optimiser", r.optimiser);
  v("ema", r.ema);
  v("loss", r.loss);
  v("sample", r.sample);
  v("published", r.published);
}

void check(const Recipe& r, const std::string& where) {
  const auto one_of = [&](const char* key, const std::string& got,
                          std::initializer_list<const char*> choices) {
    const bool known = std::any_of(choices.begin(), choices.end(), [&](const char* c) { return got == c; });
    DIFFIT_CHECK(known, "{}: {}: wanted one of {}, got '{}'", where, key,
                 fmt::join(choices.begin(), choices.end(), ", "), got);
  };
  one_of("train.dtype", r.train.dtype, {"auto", "f32", "bf16"});
  one_of("optimiser.name", r.optimiser.name, {"adam", "adamw"});
  one_of("optimiser.decay", r.optimiser.decay, {"linear", "cosine"});
  DIFFIT_CHECK(r.train.batch % r.train.microbatch == 0,
               "{}: train.microbatch {} does not divide train.batch {}", where, r.train.microbatch,
               r.train.batch);
  DIFFIT_CHECK(r.optimiser.name == "adamw" || r.optimiser.weight_decay == 0,
               "{}: optimiser.weight_decay is decoupled and belongs to adamw, optimiser.name is '{}'", where,
               r.optimiser.name);
}

}  // namespace

Recipe read_recipe(const Json& toml, const std::string& where) {
  DIFFIT_CHECK(toml.is_object(), "{}: wanted tables", where);
  Recipe recipe;
  std::vector<std::string> known{"model"};
  visit_sections(
      [&](const char* name, auto& section) {
        known.emplace_back(name);
        if (toml.contains(name)) read_fields(section, toml[name], where + ": " + name);
      },
      recipe);
  for (const auto& [key, value] : toml.items()) {
    DIFFIT_CHECK(std::find(known.begin(), known.end(), key) != known.end(), "{}: unknown table '{}'{}", where,
                 key, did_you_mean(key, known));
  }
  if (toml.contains("model")) recipe.model = toml["model"];
  DIFFIT_CHECK(recipe.model.is_object(), "{}: model: wanted a table", where);
  if (!recipe.model.contains("model")) {
    Json named = Json::object();
    named["model"] = "image";
    named.update(recipe.model);
    recipe.model = std::move(named);
  }
  if (recipe.train.microbatch == 0) recipe.train.microbatch = recipe.train.batch;
  check(recipe, where);
  return recipe;
}

Json write_recipe(const Recipe& recipe) {
  Json toml = Json::object();
  Recipe copy = recipe;
  visit_sections(
      [&](const char* name, auto& section) {
        toml[name] = write_fields(section);
        if (std::string_view(name) == "data") toml["model"] = copy.model;
      },
      copy);
  return toml;
}

bool may_change_on_resume(const std::string& key) {
  static constexpr std::array kFree{
      "train.images",          "train.snapshot_images", "train.log_images", "train.keep_states",
      "train.nonfinite_limit", "train.checkpointing",   "data.path",        "data.hint",
      "data.threads",          "sample.pictures",       "sample.steps",     "published.fid",
      "published.source"};
  return std::find(kFree.begin(), kFree.end(), key) != kFree.end();
}

ImageConfig resolve_model(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                          std::int64_t classes, const std::string& where) {
  const auto fill = [&](const char* key, std::int64_t value) {
    if (!recipe.model.contains(key)) recipe.model[key] = value;
  };
  fill("resolution", resolution);
  fill("in_channels", channels);
  fill("classes", classes);
  fill("augment_labels", recipe.data.augment > 0 ? 9 : 0);
  const ModelConfig config = read_model_config(recipe.model, where + ": model");
  DIFFIT_CHECK(std::holds_alternative<ImageConfig>(config),
               "{}: model.model: wanted \"image\"; training latent models is not there yet", where);
  const ImageConfig& image = std::get<ImageConfig>(config);
  DIFFIT_CHECK(image.resolution == resolution, "{}: model.resolution is {}, the data's pictures are {} x {}",
               where, image.resolution, resolution, resolution);
  DIFFIT_CHECK(image.in_channels == channels, "{}: model.in_channels is {}, the data's pictures have {}",
               where, image.in_channels, channels);
  DIFFIT_CHECK(image.classes == 0 || image.classes >= classes,
               "{}: model.classes is {}, the data has {}; 0 trains without classes", where, image.classes,
               classes);
  DIFFIT_CHECK(image.classes == 0 || classes > 0, "{}: model.classes is {}, the data has no labels", where,
               image.classes);
  DIFFIT_CHECK(image.augment_labels == (recipe.data.augment > 0 ? 9 : 0),
               "{}: model.augment_labels is {}, data.augment = {} needs {}", where, image.augment_labels,
               recipe.data.augment, recipe.data.augment > 0 ? 9 : 0);
  DIFFIT_CHECK(recipe.train.label_dropout == 0 || image.classes > 0,
               "{}: train.label_dropout is {}, the model has no classes", where, recipe.train.label_dropout);
  recipe.model = write_model_config(config);
  return image;
}

}  // namespace diffit
