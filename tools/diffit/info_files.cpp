#include "tools/diffit/info_files.h"

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "metrics/reference.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/vae/vae_structure.h"

namespace diffit::cli {

namespace {

/// "0.18215 (assumed: ...)".
std::string scale_text(const OpenedVae& opened) {
  const double scale = opened.vae.config().scale;
  if (opened.scale_from == "assumed") {
    return fmt::format(
        "{} (assumed, since the file does not state it; for Stable Diffusion XL give --scale 0.13025)",
        scale);
  }
  return fmt::format("{} (from {})", scale,
                     opened.scale_from == "stated" ? "the file's own configuration" : opened.scale_from);
}

}  // namespace

void describe_autoencoder(const fs::path& path, const CommonOptions& common) {
  const OpenedVae opened = open_autoencoder(path, at::kCPU);
  const VaeConfig& config = opened.vae.config();
  // The work at a size that people know: 256 x 256, or what the stages allow.
  const std::int64_t side = std::max<std::int64_t>(256 / config.factor(), 1) * config.factor();
  Json parts = Json::array();
  for (const PartCost& part : cost_of(config, side)) {
    parts.push_back({{"part", part.part},
                     {"parameters", part.parameters},
                     {"macs", part.layer_macs},
                     {"attention_macs", part.attention_macs}});
  }
  Json metadata = Json::object();
  for (const auto& [key, value] : opened.metadata) {
    if (key != kConfigKey && key.starts_with("diffit.") && value.size() < 4096) metadata[key] = value;
  }
  const std::string identity = vae_identity(opened.vae);
  const Json object = {{"path", path.string()},
                       {"kind", "autoencoder"},
                       {"weights", opened.weights.string()},
                       {"file", opened.container},
                       {"layout", opened.layout},
                       {"config", write_vae_config(config)},
                       {"config_from", opened.config_from},
                       {"scale", config.scale},
                       {"scale_from", opened.scale_from},
                       {"identity", identity},
                       {"parameters", parameter_count(config)},
                       {"side", side},
                       {"parts", parts},
                       {"tensors", opened.left_alone + opened.vae.parameters().items().size()},
                       {"left_alone", opened.left_alone},
                       {"metadata", metadata}};
  std::string text = fmt::format("{} ({})\nan autoencoder with {} tensor names, identity {}\n{} ({})\n",
                                 opened.weights.string(), opened.container, opened.layout, identity,
                                 write_vae_config(config).dump(), opened.config_from);
  text += fmt::format("latents: {} channels, 1/{} of the image side, scale {}\n", config.latent_channels,
                      config.factor(), scale_text(opened));
  text += fmt::format("{} parameters\n", human_count(static_cast<double>(parameter_count(config))));
  for (const Json& part : parts) {
    text += fmt::format("  {:<16} {:>10} parameters {:>10}MAC at {} x {}\n", part["part"].get<std::string>(),
                        human_count(part["parameters"].get<double>()),
                        human_count(part["macs"].get<double>()), side, side);
  }
  if (opened.left_alone > 0) text += fmt::format("{} other tensors are ignored\n", opened.left_alone);
  for (const auto& [key, value] : metadata.items())
    text += fmt::format("{} = {}\n", key, value.get<std::string>());
  print_result(common, object, text);
}

void describe_statistics(const fs::path& path, const CommonOptions& common) {
  const Statistics s = read_statistics(path);
  const NpzReader file(path);
  Json arrays = Json::object();
  std::string text =
      fmt::format("{}\nstatistics of features: {}{}\n", path.string(),
                  s.info.network.empty() ? "feature network unknown" : printable(s.info.network),
                  s.info.identity.empty() ? "" : ", identity " + printable(s.info.identity));
  text += fmt::format(
      "of {}{}\n",
      s.info.images > 0 ? fmt::format("{} images", s.info.images) : "an unknown number of images",
      s.info.height > 0 ? fmt::format(", {} x {} x {}", s.info.width, s.info.height, s.info.channels)
                        : std::string());
  if (!s.info.source.empty()) text += fmt::format("from {}\n", printable(s.info.source));
  for (const std::string& name : file.names()) {
    const NpyHeader header = file.header(name);
    arrays[printable(name)] = {{"dtype", safetensors_name(header.dtype)}, {"shape", header.shape}};
    text += fmt::format("  {:<10} {} [{}]\n", printable(name), safetensors_name(header.dtype),
                        fmt::join(header.shape, ", "));
  }
  print_result(common,
               {{"path", path.string()},
                {"kind", "statistics"},
                {"network", s.info.network},
                {"identity", s.info.identity},
                {"images", s.info.images},
                {"width", s.pooled->width()},
                {"spatial", s.spatial ? s.spatial->width() : 0},
                {"features", s.features.defined() ? s.features.size(0) : 0},
                {"arr_0", s.arr_images},
                {"source", s.info.source},
                {"arrays", arrays}},
               text);
}

}  // namespace diffit::cli
