#include "train/model_file.h"

#include "base/error.h"
#include "nn/cost.h"

namespace diffit {

ModelConfig config_of(const WeightsFile& file) {
  const std::string where = file.path().string();
  if (const auto found = file.metadata().find(kConfigKey); found != file.metadata().end()) {
    const std::string place = where + ": " + kConfigKey;
    return read_model_config(parse_json(found->second, place), place);
  }
  return infer_config(file.tensors(), where);
}

namespace {

/// Before memory is taken for what a configuration claims.
void check_size(const WeightsFile& file, const ModelConfig& config) {
  std::int64_t held = 0;
  for (const TensorView& view : file.tensors()) held += view.count();
  const std::int64_t claimed = total(cost_of(config)).parameters;
  DIFFIT_CHECK(claimed <= held, "{}: its configuration asks for {} parameters, the file holds {}",
               file.path().string(), claimed, held);
}

}  // namespace

Model load_model(const WeightsFile& file, at::Device device) {
  const auto make = [&](const auto& config) -> Model {
    using Config = std::decay_t<decltype(config)>;
    using Network = std::conditional_t<std::is_same_v<Config, ImageConfig>, ImageDiffiT, LatentDiffiT>;
    Network network(config);
    load_parameters(network.parameters(), file.tensors(), "", file.path().string());
    for (const Parameter& p : network.parameters()) {
      if (device.type() != at::kCPU) const_cast<at::Tensor&>(p.tensor).set_data(p.tensor.to(device));
    }
    return network;
  };
  const ModelConfig config = config_of(file);
  check_size(file, config);
  return std::visit(make, config);
}

void save_model(const fs::path& path, const ParameterList& parameters, const ModelConfig& config,
                const Metadata& extra) {
  const auto tensors = named_tensors(parameters);
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      fail("{}: not written, {} holds numbers that are not finite", path.string(), name);
    }
    views.push_back(view_of(name, tensor));
  }
  Metadata metadata = extra;
  metadata[kConfigKey] = write_model_config(config).dump();
  metadata["format"] = "pt";
  write_safetensors(path, views, metadata);
}

}  // namespace diffit
