#include "model/convert_model.h"

#include <algorithm>

#include "base/error.h"
#include "config/json_text.h"
#include "io/tensors/convert_dtype.h"
#include "io/tensors/safetensors.h"
#include "model/classifier_file.h"
#include "model/model_file.h"
#include "model/vae_file.h"

namespace diffit::model {

namespace {

/// Weights of something else, an autoencoder say, are converted too: then nothing is inferred.
std::optional<ModelConfig> inferred_config(const WeightsFile& source) {
  try {
    return config_of(source);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Error(invalid) where the metadata states a configuration that no kind of model has.
void check_stated_config(const WeightsFile& source) {
  const std::string place = place_of_config(source);
  if (states_vae(source.metadata(), source.path().string())) {
    read_vae_config(parse_json(source.metadata().at(kConfigKey), place), place);
  } else if (holds_classifier(source)) {
    read_classifier_config(parse_json(source.metadata().at(kConfigKey), place), place);
  } else {
    config_of(source);
  }
}

constexpr const char* kLabelTable = "y_embedder.embedding_table.weight";

/// The configuration that a latent model has when its label table gets a row more. Error(invalid) where it
/// has one for the null label already, or has no such table.
ModelConfig config_with_null_row(const WeightsFile& source) {
  const std::string where = source.path().string();
  std::vector<TensorView> tensors = source.tensors();
  const auto table = std::find_if(tensors.begin(), tensors.end(),
                                  [](const TensorView& view) { return view.name == kLabelTable; });
  DIFFIT_CHECK(table != tensors.end() && table->shape.size() == 2 && table->shape[1] > 0,
               "`null_row`: {}: wanted a latent model with a table {}", where, kLabelTable);
  const std::int64_t rows = table->shape[0]++;
  const bool stated = source.metadata().contains(kConfigKey);
  const ModelConfig config = stated ? config_of(source) : infer_config(tensors, where);
  const auto* latent = std::get_if<LatentConfig>(&config);
  DIFFIT_CHECK(latent != nullptr && latent->classes == rows,
               "`null_row`: {}: its table of {} rows already has a row for the null label", where, rows);
  return config;
}

}  // namespace

ConvertReport convert_model(const WeightsFile& source, const fs::path& destination,
                            std::optional<Dtype> dtype, const std::optional<VaeConfig>& vae, bool null_row) {
  ConvertReport report{.tensors = source.tensors().size(), .bytes = 0, .config = "none"};
  Metadata metadata = source.metadata();
  metadata.erase(kStateKey);  // what is written is no state to resume from
  metadata["format"] = "pt";
  if (null_row) {
    metadata[kConfigKey] = write_model_config(config_with_null_row(source)).dump();
    metadata[kNullRowKey] = "zeros";
    report.config = source.metadata().contains(kConfigKey) ? "stated" : "inferred";
  } else if (metadata.contains(kConfigKey)) {
    check_stated_config(source);
    report.config = "stated";
  } else if (vae) {
    metadata[kConfigKey] = write_vae_config(*vae).dump();
    report.config = "stated";
  } else if (const auto config = inferred_config(source)) {
    metadata[kConfigKey] = json_text(write_model_config(*config));
    report.config = "inferred";
  }
  if (dtype && *dtype != Dtype::f32 && (vae || states_vae(source.metadata(), source.path().string()))) {
    // Latents and models name the autoencoder that they belong to.
    const std::string where = source.path().string();
    metadata.emplace(kRoundedFromKey,
                     vae_identity(load_vae(source.tensors(), source.metadata(), where, at::kCPU, vae)));
  }
  // The scale of a whole checkpoint's latents is no weight: rounded, it would be another scale.
  const auto narrowed = [&](const TensorView& view) {
    return dtype && is_floating(view.dtype) && view.name != "scale_factor" ? *dtype : view.dtype;
  };
  std::vector<TensorView> claims;
  for (const TensorView& view : source.tensors()) {
    claims.push_back({view.name, narrowed(view), view.shape, {}});
    if (null_row && view.name == kLabelTable) ++claims.back().shape[0];
  }
  SafetensorsWriter writer(destination, claims, metadata);
  for (const std::size_t i : writer.order()) {
    const TensorView& view = source.tensors()[i];
    convert_elements(view, narrowed(view), source.path().string(), [&](std::span<const std::byte> piece) {
      writer.write(piece);
      report.bytes += piece.size();
    });
    if (null_row && view.name == kLabelTable) {
      const std::vector<std::byte> row(static_cast<std::size_t>(view.shape[1]) *
                                       element_size(narrowed(view)));
      writer.write(row);
      report.bytes += row.size();
    }
    source.done_with(view);
  }
  writer.finish();
  return report;
}

}  // namespace diffit::model
