#include "train/recipe.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/printable.h"
#include "config/json_text.h"

namespace diffit::training {

namespace {

template <class V>
void visit_sections(V&& v, Recipe& r) {
  v("data", r.data);
  v("train", r.train);
  v("optimiser", r.optimiser);
  v("ema", r.ema);
  v("loss", r.loss);
  v("sample", r.sample);
  v("eval", r.eval);
  v("dist", r.dist);
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
  DIFFIT_CHECK(r.train.images == 0 || r.train.epochs == 0,
               "{}: train.images = {} and train.epochs = {} both set the length; set only one of them", where,
               r.train.images, r.train.epochs);
  DIFFIT_CHECK(r.train.batch % r.train.microbatch == 0,
               "{}: train.microbatch {} does not divide train.batch {}", where, r.train.microbatch,
               r.train.batch);
  DIFFIT_CHECK((r.dist.shards & (r.dist.shards - 1)) == 0, "{}: dist.shards is {}: wanted a power of two",
               where, r.dist.shards);
  DIFFIT_CHECK(r.train.eval_images == 0 || !r.eval.features.empty(),
               "{}: train.eval_images is set, but eval.features names no feature network", where);
  DIFFIT_CHECK(r.train.eval_images == 0 || r.kind() != ModelKind::latent || !r.sample.vae.empty(),
               "{}: train.eval_images is set, but sample.vae names no autoencoder to decode the samples",
               where);
  DIFFIT_CHECK(
      r.train.eval_images == 0 || r.kind() != ModelKind::latent || !r.eval.reference.empty(),
      "{}: train.eval_images is set and the data are latents: set eval.reference to images or statistics",
      where);
  DIFFIT_CHECK(r.optimiser.name == "adamw" || r.optimiser.weight_decay == 0,
               "{}: optimiser.weight_decay is decoupled and needs adamw, but optimiser.name is '{}'", where,
               r.optimiser.name);
}

/// Of the table `model`; image where it does not say.
ModelKind kind_of(const Json& model, const std::string& where) {
  DIFFIT_CHECK(model.is_object(), "{}: model: wanted a table", where);
  if (!model.contains("model") || model["model"] == "image") return ModelKind::image;
  if (model["model"] == "latent") return ModelKind::latent;
  if (names_classifier(model)) return ModelKind::classifier;
  DIFFIT_CHECK(model["model"] == "vae", "{}: model.model: wanted image, latent, vae or classifier, got {}",
               where, printable(json_text(model["model"])));
  return ModelKind::vae;
}

constexpr const char *kOptimiser = "optimiser", *kOptimizer = "optimizer";

/// Renames the table `optimizer` to the name under which it is stored.
Json with_stored_names(Json toml, const std::string& where) {
  const auto alias = toml.find(kOptimizer);
  if (alias == toml.end()) return toml;
  DIFFIT_CHECK(!toml.contains(kOptimiser),
               "{}: the tables optimiser and optimizer are the same; use only one of them", where);
  Json table = std::move(*alias);
  toml.erase(kOptimizer);
  toml[kOptimiser] = std::move(table);
  return toml;
}

}  // namespace

void set_in_recipe(Json& toml, std::string_view assignment) {
  if (toml.is_object())
    toml = with_stored_names(std::move(toml), fmt::format("--set {}", printable(assignment)));
  const std::string alias = fmt::format("{}.", kOptimizer);
  const std::string_view key = trim(assignment);
  set_by_path(toml, key.starts_with(alias) ? fmt::format("{}.{}", kOptimiser, key.substr(alias.size()))
                                           : std::string(assignment));
}

Recipe read_recipe(const Json& given, const std::string& where) {
  DIFFIT_CHECK(given.is_object(), "{}: wanted tables", where);
  const Json toml = with_stored_names(given, where);
  Recipe recipe;
  if (toml.contains("model")) recipe.model = toml["model"];
  recipe.data.kind = recipe.train.kind = recipe.loss.kind = recipe.sample.kind = recipe.eval.kind =
      kind_of(recipe.model, where);
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
        if constexpr (std::is_same_v<std::decay_t<decltype(section)>, DistSection>) {
          if (section == DistSection{}) return;  // a training of one process
        }
        toml[name] = write_fields(section);
        if (std::string_view(name) == "data") toml["model"] = copy.model;
      },
      copy);
  return toml;
}

void resolve_epochs(Recipe& recipe, std::int64_t data_images, const std::string& where) {
  if (recipe.train.epochs == 0) return;
  const double images = std::round(recipe.train.epochs * static_cast<double>(data_images));
  DIFFIT_CHECK(images <= 1e13,
               "{}: train.epochs = {} over {} images is a length of {:.3g} images, the limit is 1e13", where,
               recipe.train.epochs, data_images, images);
  recipe.train.images = std::max<std::int64_t>(1, static_cast<std::int64_t>(images));
  recipe.train.epochs = 0;
}

bool may_change_on_resume(const std::string& key) {
  static constexpr std::array kFree{"train.images",
                                    "train.epochs",
                                    "train.snapshot_images",
                                    "train.log_images",
                                    "train.eval_images",
                                    "train.keep_states",
                                    "train.nonfinite_limit",
                                    "train.checkpointing",
                                    "data.path",
                                    "data.hint",
                                    "data.test",
                                    "data.threads",
                                    "sample.pictures",
                                    "sample.steps",
                                    "sample.guidance",
                                    "sample.vae",
                                    "eval.features",
                                    "eval.reference",
                                    "eval.metrics",
                                    "eval.pictures",
                                    "eval.steps",
                                    "dist.timeout",
                                    "published.fid",
                                    "published.source"};
  return std::find(kFree.begin(), kFree.end(), key) != kFree.end();
}

namespace {

/// Gives a key of the model that the recipe leaves open the data's value.
void fill(Recipe& recipe, const char* key, std::int64_t value) {
  if (!recipe.model.contains(key)) recipe.model[key] = value;
}

void check_classes(const Recipe& recipe, std::int64_t model, std::int64_t data, const std::string& where) {
  DIFFIT_CHECK(model == 0 || model >= data,
               "{}: model.classes is {}, but the data has {}; 0 trains without classes", where, model, data);
  DIFFIT_CHECK(model == 0 || data > 0, "{}: model.classes is {}, but the data has no labels", where, model);
  DIFFIT_CHECK(recipe.train.label_dropout == 0 || model > 0,
               "{}: train.label_dropout is {}, but the model has no classes", where,
               recipe.train.label_dropout);
}

}  // namespace

ImageConfig resolve_model(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                          std::int64_t classes, const std::string& where) {
  fill(recipe, "resolution", resolution);
  fill(recipe, "in_channels", channels);
  fill(recipe, "classes", classes);
  fill(recipe, "augment_labels", recipe.data.augment > 0 ? 9 : 0);
  const ModelConfig config = read_model_config(recipe.model, where + ": model");
  const auto* found = std::get_if<ImageConfig>(&config);
  DIFFIT_CHECK(found != nullptr, "{}: model.model: wanted \"image\"", where);
  const ImageConfig& image = *found;
  DIFFIT_CHECK(image.resolution == resolution,
               "{}: model.resolution is {}, but the images of the data are {} x {}", where, image.resolution,
               resolution, resolution);
  DIFFIT_CHECK(image.in_channels == channels,
               "{}: model.in_channels is {}, but the images of the data have {}", where, image.in_channels,
               channels);
  check_classes(recipe, image.classes, classes, where);
  DIFFIT_CHECK(image.augment_labels == (recipe.data.augment > 0 ? 9 : 0),
               "{}: model.augment_labels is {}, but data.augment = {} needs {}", where, image.augment_labels,
               recipe.data.augment, recipe.data.augment > 0 ? 9 : 0);
  const LossSection usual;
  DIFFIT_CHECK(image.precondition == Schedule::edm || (recipe.loss.noise_mean == usual.noise_mean &&
                                                       recipe.loss.noise_deviation == usual.noise_deviation),
               "{}: loss.noise_mean and loss.noise_deviation apply only to precondition 'edm'; '{}' has its "
               "own distribution of noise levels: leave them out",
               where, name_of(image.precondition));
  recipe.model = write_model_config(config);
  return image;
}

VaeConfig resolve_vae(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                      const std::string& where) {
  fill(recipe, "in_channels", channels);
  const VaeConfig config = read_vae_config(recipe.model, where + ": model");
  DIFFIT_CHECK(config.in_channels == channels,
               "{}: model.in_channels is {}, but the images of the data have {}", where, config.in_channels,
               channels);
  DIFFIT_CHECK(
      resolution % config.factor() == 0,
      "{}: model.channels has {} stages, but {} x {} images cannot be halved {} times; see data.size", where,
      config.stages(), resolution, resolution, config.stages() - 1);
  recipe.model = write_vae_config(config);
  return config;
}

ClassifierConfig resolve_classifier(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                                    std::int64_t classes, const std::string& where) {
  fill(recipe, "resolution", resolution);
  fill(recipe, "in_channels", channels);
  fill(recipe, "classes", classes);
  DIFFIT_CHECK(classes > 1, "{}: wanted data with labels of at least two classes, got {}", where, classes);
  const ClassifierConfig config = read_classifier_config(recipe.model, where + ": model");
  DIFFIT_CHECK(
      config.resolution == resolution && config.in_channels == channels,
      "{}: the model needs {} x {} images with {} channels, but the data are {} x {} with {}; see data.size",
      where, config.resolution, config.resolution, config.in_channels, resolution, resolution, channels);
  check_classes(recipe, config.classes, classes, where);
  recipe.model = write_classifier_config(config);
  return config;
}

LatentConfig resolve_latents(Recipe& recipe, const LatentInfo& latents, const std::string& where) {
  DIFFIT_CHECK(latents.height == latents.width, "{}: wanted square latents, got {} x {}", where,
               latents.height, latents.width);
  fill(recipe, "input_size", latents.height);
  fill(recipe, "in_channels", latents.channels);
  fill(recipe, "classes", latents.classes);
  const ModelConfig config = read_model_config(recipe.model, where + ": model");
  const LatentConfig& latent = std::get<LatentConfig>(config);
  DIFFIT_CHECK(latent.input_size == latents.height,
               "{}: model.input_size is {}, but the latents of the data are {} x {}", where,
               latent.input_size, latents.height, latents.width);
  DIFFIT_CHECK(latent.in_channels == latents.channels,
               "{}: model.in_channels is {}, but the latents of the data have {}", where, latent.in_channels,
               latents.channels);
  check_classes(recipe, latent.classes, latents.classes, where);
  DIFFIT_CHECK(latent.learned_variance || recipe.loss.vlb_weight == LossSection{}.vlb_weight,
               "{}: loss.vlb_weight weights the term that trains the variance, and model.learned_variance is "
               "false: leave it out",
               where);
  if (recipe.data.vae.empty()) recipe.data.vae = latents.vae;
  if (recipe.data.scale == 0) recipe.data.scale = latents.scale;
  DIFFIT_CHECK(
      recipe.data.vae == latents.vae,
      "{}: data.vae is {}, but the latents were encoded by {}; encode the images with the VAE of the recipe",
      where, recipe.data.vae, latents.vae);
  DIFFIT_CHECK(recipe.data.scale == latents.scale, "{}: data.scale is {}, but the latents have scale {}",
               where, recipe.data.scale, latents.scale);
  recipe.model = write_model_config(config);
  return latent;
}

}  // namespace diffit::training
