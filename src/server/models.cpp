#include "server/models.h"

#include <algorithm>

#include "base/bundled.h"
#include "base/error.h"
#include "base/text.h"
#include "io/tensors/weights_file.h"

namespace diffit::server {

namespace {

constexpr const char* kConfigKey = "diffit.config";

/// A whole number of a configuration, or `otherwise`.
std::int64_t number(const Json& config, const char* key, std::int64_t otherwise) {
  const auto found = config.find(key);
  return found != config.end() && found->is_number_integer() ? found->get<std::int64_t>() : otherwise;
}

}  // namespace

std::optional<ServedModel> read_model(const std::string& given) {
  const WeightsFile file(model_path(given));
  ServedModel model;
  model.name = fs::path(given).has_extension() ? fs::path(given).stem().string() : given;
  model.path = given;
  Json config = Json::object();
  if (const auto found = file.metadata().find(kConfigKey); found != file.metadata().end()) {
    config = parse_json(found->second, file.path().string() + ": " + kConfigKey);
    const Json kind = config.contains("model") ? config["model"] : Json();
    if (kind != "image" && kind != "latent") return {};
    model.latent = kind == "latent";
    model.resolution = number(config, "resolution", model.latent ? 0 : 32);
    model.channels = model.latent ? 0 : number(config, "in_channels", 3);
    model.classes = number(config, "classes", 0);
  } else {  // released weights: the rows of the label table are the classes and the null label
    const TensorView* labels = file.find("y_embedder.embedding_table.weight");
    if (labels == nullptr || labels->shape.empty()) return {};
    model.latent = true;
    model.classes = labels->shape[0] - 1;
  }
  if (model.classes > 0) {
    model.names = class_names_of(file.path(), file.metadata(), model.classes, home() / "presets/classes");
  }
  return model;
}

std::string ServedModel::class_name(std::int64_t label) const {
  return names ? names->name(label) : std::to_string(label);
}

Models::Models(const std::vector<std::string>& given) {
  for (const std::string& name : given.empty() ? bundled_models() : given) {
    const std::optional<ServedModel> model = read_model(name);
    if (!model) {
      DIFFIT_CHECK(given.empty(), "`model` {}: wanted an image-space or latent model, got another network",
                   name);
      continue;
    }
    DIFFIT_CHECK(!has(model->name), "`model` {}: two models have this name; rename one of the files",
                 model->name);
    models_.push_back(*model);
  }
  if (given.empty()) {  // the first is the one that is used if none is named
    std::stable_partition(models_.begin(), models_.end(), [](const ServedModel& m) { return !m.latent; });
  }
  DIFFIT_CHECK(!models_.empty(), "there is no model to serve: give `model` FILE");
}

bool Models::has(const std::string& name) const {
  return std::any_of(models_.begin(), models_.end(), [&](const ServedModel& m) { return m.name == name; });
}

const ServedModel& Models::find(const std::string& name) const {
  if (name.empty()) return models_.front();
  std::vector<std::string> known;
  for (const ServedModel& model : models_) {
    if (model.name == name) return model;
    known.push_back(model.name);
  }
  throw HttpError(400,
                  fmt::format("`model`: '{}' is not served{}; available: {}", name, did_you_mean(name, known),
                              fmt::join(known, ", ")),
                  "model");
}

std::vector<std::int64_t> labels_of(const ServedModel& model, const std::string& text,
                                    const std::string& field) {
  const auto label_of = [&](std::string_view word) {
    const bool number = word.find_first_not_of("-0123456789") == std::string_view::npos;
    if (!number && model.names) return model.names->find(word);
    const std::int64_t label =
        parse_int(word, number ? "a class" : "a class (classes of this model have no names)");
    DIFFIT_CHECK(label >= 0 && label < model.classes, "the model has classes 0 to {}, got {}",
                 model.classes - 1, label);
    return label;
  };
  try {
    DIFFIT_CHECK(model.classes > 0, "the model has no classes, got '{}'", text);
    if (text.find(',') != std::string::npos && model.names) {
      for (std::int64_t label = 0; label < model.classes; ++label) {
        if (model.names->name(label) == trim(text)) return {label};
      }
    }
    std::vector<std::int64_t> labels;
    for (const std::string& word : split(text, ',')) labels.push_back(label_of(trim(word)));
    return labels;
  } catch (const Error& error) {
    throw HttpError(400, fmt::format("`{}`: {}", field, error.what()), field);
  }
}

}  // namespace diffit::server
