#include "model/classifier_file.h"

#include "base/error.h"
#include "model/model_file.h"
#include "nn/layers/weights_io.h"
#include "runtime/pch.h"

namespace diffit::model {

namespace {

Json stated_config(const WeightsFile& file) {
  const auto found = file.metadata().find(kConfigKey);
  return found == file.metadata().end() ? Json() : parse_json(found->second, place_of_config(file));
}

}  // namespace

bool holds_classifier(const WeightsFile& file) {
  return names_classifier(stated_config(file));
}

Classifier load_classifier(const WeightsFile& file, at::Device device) {
  const std::string where = file.path().string();
  const ClassifierConfig config = read_classifier_config(stated_config(file), place_of_config(file));
  std::int64_t held = 0;
  for (const TensorView& view : file.tensors()) held += view.count();
  const std::int64_t claimed = total(cost_of(config)).parameters;
  // Factor 2: a few missing tensors pass here and are reported by name when the weights are loaded.
  DIFFIT_CHECK(claimed / 2 <= held, "{}: its configuration needs {} parameters, but the file contains {}",
               where, claimed, held);
  Classifier network(config);
  load_parameters(network.parameters(), file.tensors(), "", where);
  network.parameters().to(device);
  return network;
}

void save_classifier(const fs::path& path, const ParameterList& parameters, const ClassifierConfig& config,
                     const Metadata& extra) {
  save_weights(path, parameters, write_classifier_config(config), extra);
}

}  // namespace diffit::model
