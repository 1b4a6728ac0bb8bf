#include "model/model_file.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "config/json_text.h"
#include "nn/cost/cost.h"

namespace diffit::model {

std::string place_of_config(const WeightsFile& file) {
  return file.path().string() + ": " + kConfigKey;
}

ModelConfig config_of(const WeightsFile& file) {
  const std::string where = file.path().string();
  if (const auto found = file.metadata().find(kConfigKey); found != file.metadata().end()) {
    const std::string place = place_of_config(file);
    return read_model_config(parse_json(found->second, place), place);
  }
  return infer_config(file.tensors(), where);
}

namespace {

/// Side of the largest window that attention sees at once.
std::int64_t largest_window(const ModelConfig& config) {
  if (const auto* latent = std::get_if<LatentConfig>(&config)) return latent->depth > 0 ? latent->grid() : 1;
  const auto& image = std::get<ImageConfig>(config);
  std::int64_t largest = 1;
  for (std::int64_t i = 0; i < image.stages(); ++i) largest = std::max(largest, image.window_of(i));
  return largest;
}

template <class Make>
auto with_network(const ModelConfig& config, Make&& make) {
  return std::visit(
      [&](const auto& c) {
        using Config = std::decay_t<decltype(c)>;
        using Network = std::conditional_t<std::is_same_v<Config, ImageConfig>, ImageDiffiT, LatentDiffiT>;
        return make(Network(c));
      },
      config);
}

}  // namespace

void check_size(const WeightsFile& file, const ModelConfig& config) {
  std::int64_t held = 0;
  double bytes = 0;
  for (const TensorView& view : file.tensors()) {
    held += view.count();
    bytes += static_cast<double>(view.bytes.size());
  }
  const std::int64_t claimed = total(cost_of(config)).parameters;
  DIFFIT_CHECK(claimed <= held, "{}: its configuration needs {} parameters, but the file contains {}",
               file.path().string(), claimed, held);
  // Files may lack the index, but one that dwarfs its file is no model's.
  constexpr double kIndexWithoutFile = 64 << 20;
  const auto window = static_cast<double>(largest_window(config));
  DIFFIT_CHECK(8 * std::pow(window, 4) <= bytes + kIndexWithoutFile,
               "{}: attention over a window of {} needs an index of {}, the file has {}",
               file.path().string(), window, human_bytes(8 * std::pow(window, 4)), human_bytes(bytes));
}

void check_model(const WeightsFile& file, const ModelConfig& config) {
  check_size(file, config);
  with_network(config, [&](const auto& network) {
    check_parameters(network.parameters(), file.tensors(), "", file.path().string());
  });
}

LoadedModel load_model(const WeightsFile& file, at::Device device) {
  const ModelConfig config = config_of(file);
  check_size(file, config);
  return with_network(config, [&](auto network) -> LoadedModel {
    load_parameters(network.parameters(), file.tensors(), "", file.path().string(),
                    [&](const TensorView& view) { file.done_with(view); });
    network.parameters().to(device);
    return network;
  });
}

void save_model(const fs::path& path, const ParameterList& parameters, const ModelConfig& config,
                const Metadata& extra) {
  save_weights(path, parameters, write_model_config(config), extra);
}

void save_weights(const fs::path& path, const ParameterList& parameters, const Json& config,
                  const Metadata& extra) {
  const auto tensors = named_tensors(parameters);
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      fail("{}: not written: {} contains values that are not finite", path.string(), name);
    }
    views.push_back(view_of(name, tensor));
  }
  Metadata metadata = extra;
  metadata[kConfigKey] = json_text(config);
  metadata["format"] = "pt";
  write_safetensors(path, views, metadata);
}

}  // namespace diffit::model
