// Models and checkpoints, for diffit::describe().
#include <chrono>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "config/json_text.h"
#include "io/tensors/safetensors.h"
#include "jobs/described.h"
#include "metrics/feature_network.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/diffit/structure.h"

namespace diffit::jobs {

namespace {

constexpr std::size_t kLongestMetadata = 4096;

/// How many tensors there are of each element type: {"F32": 336, "I64": 28}.
Json count_dtypes(const WeightsFile& file) {
  Json counts = Json::object();
  for (const TensorView& view : file.tensors()) {
    const std::string name(safetensors_name(view.dtype));
    counts[name] = counts.value(name, 0) + 1;
  }
  return counts;
}

/// "336 F32, 28 I64".
std::string text_of_counts(const Json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count.get<int>(), name);
  return text;
}

/// Reads every weight, as sampling would; seconds.
double time_loading(const WeightsFile& file) {
  const auto start = std::chrono::steady_clock::now();
  load_model(file, at::kCPU);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool states_diffusion_model(const WeightsFile& file) {
  const Json config = parse_json(file.metadata().at(kConfigKey), place_of_config(file));
  return config.is_object() &&
         (config.value("model", Json()) == "image" || config.value("model", Json()) == "latent");
}

/// The checkpoint of an autoencoder's or a classifier's training.
Described describe_other_state(const WeightsFile& file) {
  const Json config = parse_json(file.metadata().at(kConfigKey), place_of_config(file));
  const Json dtypes = count_dtypes(file);
  return {{{"path", file.path().string()},
           {"kind", "training state"},
           {"file", file.kind()},
           {"config", config},
           {"config_from", "stated"},
           {"tensors", file.tensors().size()},
           {"dtypes", dtypes}},
          fmt::format("{}, a training state ({}; {})\n{} (stated)\n", file.path().string(), file.kind(),
                      text_of_counts(dtypes), printable(config.dump()))};
}

std::string text_of(const std::vector<PartCost>& parts) {
  const PartCost all = total(parts);
  std::string text =
      fmt::format("{} parameters, {}MAC per forward pass (and {}MAC in the matrix products of attention)\n",
                  human_count(static_cast<double>(all.parameters)), human_count(all.layer_macs),
                  human_count(all.attention_macs));
  for (const PartCost& part : parts) {
    text += fmt::format("  {:<16} {:>10} parameters {:>10}MAC\n", part.part,
                        human_count(static_cast<double>(part.parameters)), human_count(part.layer_macs));
  }
  return text;
}

/// A diffusion model, or the checkpoint of its training.
Described describe_diffusion_model(const WeightsFile& file, const fs::path& path, bool check) {
  const bool state = file.metadata().contains(kStateKey);
  const ModelConfig config = config_of(file);
  if (!state) check_model(file, config);
  const std::vector<PartCost> parts = cost_of(config);
  const PartCost all = total(parts);
  const Json metadata = stated_metadata(file.metadata());
  const char* origin = file.metadata().contains(kConfigKey) ? "stated" : "inferred";
  const Json dtypes = count_dtypes(file);
  Json object = {{"path", path.string()},
                 {"kind", state ? "training state" : "model"},
                 {"file", file.kind()},
                 {"config", write_model_config(config)},
                 {"config_from", origin},
                 {"parameters", all.parameters},
                 {"macs", all.layer_macs},
                 {"attention_macs", all.attention_macs},
                 {"parts", json_of_parts(parts)},
                 {"tensors", file.tensors().size()},
                 {"dtypes", dtypes},
                 {"metadata", metadata}};
  if (!file.wrapper().empty()) object["prefix"] = file.wrapper();
  std::string text =
      fmt::format("{}{} ({}; {})\n{} ({})\n", path.string(), state ? ", a training state" : "", file.kind(),
                  text_of_counts(dtypes), json_text(write_model_config(config)), origin);
  text += text_of(parts);
  if (!file.wrapper().empty())
    text += fmt::format("the prefix '{}' is removed from every name\n", file.wrapper());
  text += lines_of(metadata);
  if (check) {
    DIFFIT_CHECK(!state,
                 "{}: `check` does not apply to a training checkpoint, which is checked when a training "
                 "resumes from it",
                 path.string());
    object["load_seconds"] = time_loading(file);
    text += fmt::format("all weights are finite; loaded in {}\n", human_seconds(object["load_seconds"]));
  }
  return {object, text};
}

}  // namespace

Json stated_metadata(const Metadata& metadata, bool with_configuration) {
  Json stated = Json::object();
  for (const auto& [key, value] : metadata) {
    const bool wanted = with_configuration || key != kConfigKey;
    if (wanted && key.starts_with("diffit.") && value.size() < kLongestMetadata) stated[key] = value;
  }
  return stated;
}

std::string lines_of(const Json& metadata) {
  std::string text;
  for (const auto& [key, value] : metadata.items())
    text += fmt::format("{} = {}\n", key, value.get<std::string>());
  return text;
}

Described describe_model(const fs::path& path, bool check) {
  const WeightsFile file(path);
  const bool state = file.metadata().contains(kStateKey);
  const bool stated = file.metadata().contains(kConfigKey);
  if (!state && holds_feature_network(file)) return describe_feature_network(file);
  if (!state && (states_vae(file.metadata(), path.string()) || (!stated && looks_like_vae(file.tensors()))))
    return describe_autoencoder(path);
  if (state && stated && !states_diffusion_model(file)) return describe_other_state(file);
  return describe_diffusion_model(file, path, check);
}

}  // namespace diffit::jobs
