#include "train/convert_model.h"

#include "base/error.h"
#include "io/convert_dtype.h"
#include "io/json_text.h"
#include "io/safetensors.h"
#include "train/classifier_file.h"
#include "train/model_file.h"

namespace diffit {

namespace {

/// Weights of something else, an autoencoder say, are converted too: then nothing is inferred.
std::optional<ModelConfig> inferred_config(const WeightsFile& source) {
  try {
    return config_of(source);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

ConvertReport convert_model(const WeightsFile& source, const fs::path& destination,
                            std::optional<Dtype> dtype) {
  ConvertReport report{.tensors = source.tensors().size(), .bytes = 0, .config = "none"};
  Metadata metadata = source.metadata();
  metadata.erase(kStateKey);  // what is written is no state to resume from
  metadata["format"] = "pt";
  if (metadata.contains(kConfigKey)) {
    if (!holds_classifier(source)) config_of(source);
    report.config = "stated";
  } else if (const auto config = inferred_config(source)) {
    metadata[kConfigKey] = json_text(write_model_config(*config));
    report.config = "inferred";
  }
  std::vector<TensorView> claims;
  for (const TensorView& view : source.tensors()) {
    claims.push_back({view.name, dtype && is_floating(view.dtype) ? *dtype : view.dtype, view.shape, {}});
  }
  SafetensorsWriter writer(destination, claims, metadata);
  for (const std::size_t i : writer.order()) {
    const TensorView& view = source.tensors()[i];
    convert_elements(view, dtype.value_or(view.dtype), source.path().string(),
                     [&](std::span<const std::byte> piece) {
                       writer.write(piece);
                       report.bytes += piece.size();
                     });
    source.done_with(view);
  }
  writer.finish();
  return report;
}

}  // namespace diffit
