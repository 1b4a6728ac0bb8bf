#include "train/init_from.h"

#include <algorithm>

#include "base/error.h"
#include "diffusion/parameterisation.h"
#include "model/model_file.h"
#include "model/vae_file.h"

namespace diffit::training {

namespace {

constexpr const char* kLabelTable = "y_embedder.embedding_table.weight";

/// Error(invalid) unless the file was trained on the latents that the recipe trains on. Returns a
/// note if the file does not state them.
std::vector<std::string> check_latents(const Recipe& recipe, const Metadata& metadata,
                                       const std::string& where) {
  if (recipe.kind() != ModelKind::latent) return {};
  const auto vae = metadata.find(kVaeIdentityKey), scale = metadata.find(kLatentScaleKey);
  if (vae == metadata.end() || scale == metadata.end()) {
    return {fmt::format("{} does not state which VAE it was trained with; these latents were encoded by {}",
                        where, recipe.data.vae)};
  }
  DIFFIT_CHECK(vae->second == recipe.data.vae,
               "{}: was trained on latents of the VAE {}, but the data were encoded by {}; encode the images "
               "with the VAE of the model",
               where, vae->second, recipe.data.vae);
  DIFFIT_CHECK(scale->second == fmt::format("{}", recipe.data.scale),
               "{}: was trained on latents with scale {}, but the data have scale {}", where, scale->second,
               recipe.data.scale);
  return {};
}

/// Error(invalid) unless the file predicts what the recipe trains: its weights mean something else otherwise.
void check_prediction(const Recipe& recipe, const WeightsFile& file) {
  if (!makes_images(recipe.kind()) || !file.metadata().contains(kConfigKey)) return;
  const ModelConfig theirs = config_of(file), ours = read_model_config(recipe.model, "model");
  if (theirs.index() != ours.index()) return;  // its tensors do not fit
  const auto prediction_of = [](const ModelConfig& config) {
    const auto of = [](const auto& c) { return parameterisation_of(c).prediction; };
    return name_of(std::visit(of, config));
  };
  DIFFIT_CHECK(prediction_of(theirs) == prediction_of(ours),
               "{}: its network predicts {}, model.prediction of the recipe is {}: train with the first",
               file.path().string(), prediction_of(theirs), prediction_of(ours));
}

/// Whether a label table of so many rows has none for the null label: as many rows as the file states
/// classes, or 1000 where it states nothing.
bool lacks_null_row(const WeightsFile& file, std::int64_t rows) {
  const auto stated = file.metadata().find(kConfigKey);
  if (stated == file.metadata().end()) return rows == 1000;
  const Json config = parse_json(stated->second, place_of_config(file));
  return config.is_object() && config.value("classes", Json()) == rows;
}

/// An autoencoder under any names and in any file or folder.
std::vector<std::string> start_from_autoencoder(const std::string& path, const ParameterList& parameters) {
  const OpenedVae opened = open_autoencoder(path, at::kCPU);
  const std::string where = opened.weights.string();
  std::vector<TensorView> views;
  const auto tensors = named_tensors(opened.vae.parameters());
  for (const auto& [name, tensor] : tensors) views.push_back(view_of(name, tensor));
  load_parameters(parameters, views, "", where);
  return {fmt::format("initializing from the weights of {}", where)};
}

}  // namespace

std::vector<std::string> start_from(const Recipe& recipe, const ParameterList& parameters) {
  if (recipe.kind() == ModelKind::vae) return start_from_autoencoder(recipe.train.init_from, parameters);
  const WeightsFile file(recipe.train.init_from);
  const std::string where = file.path().string();
  check_prediction(recipe, file);
  std::vector<std::string> notes = check_latents(recipe, file.metadata(), where);
  notes.insert(notes.begin(), fmt::format("initializing from the weights of {}", where));

  std::vector<TensorView> tensors = file.tensors();
  at::Tensor table;  // the new one, alive until it was loaded
  const auto has_name = [](const auto& named) { return named.name == kLabelTable; };
  const auto theirs = std::find_if(tensors.begin(), tensors.end(), has_name);
  const auto ours = std::find_if(parameters.begin(), parameters.end(), has_name);
  if (theirs != tensors.end() && ours != parameters.end() && theirs->shape.size() == 2 &&
      theirs->shape[0] > 0 && theirs->shape[0] != ours->tensor.size(0) &&
      theirs->shape[1] == ours->tensor.size(1)) {
    table = ours->tensor.detach().clone();
    const std::int64_t rows = theirs->shape[0], classes = ours->tensor.size(0) - 1;
    if (!lacks_null_row(file, rows)) {
      table[-1].copy_(to_tensor(*theirs)[-1]);
      notes.push_back(
          fmt::format("warning: its label table of {} classes is replaced by a new one with {}; the row of "
                      "the null label is kept",
                      rows - 1, classes));
    } else if (rows == classes) {
      table.narrow(0, 0, rows).copy_(to_tensor(*theirs));
      notes.push_back(
          fmt::format("warning: its label table of {} classes has no row for the null label: that row is "
                      "newly initialized",
                      rows));
    } else {
      notes.push_back(
          fmt::format("warning: its label table of {} classes is replaced by a newly initialized one with {}",
                      rows, classes));
    }
    *theirs = view_of(kLabelTable, table);
  }
  load_parameters(parameters, tensors, "", where);
  return notes;
}

}  // namespace diffit::training
