// Files that are no diffusion models, for diffit::describe().
#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "io/images/image.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "jobs/described.h"
#include "metrics/feature_network.h"
#include "metrics/reference.h"
#include "model/vae_file.h"
#include "nn/vae/vae_structure.h"

namespace diffit::jobs {

namespace {

/// "0.18215 (assumed, ...)".
std::string scale_text(const OpenedVae& opened) {
  const double scale = opened.vae.config().scale;
  if (opened.scale_from == "assumed") {
    return fmt::format(
        "{} (assumed, since the file does not state it; for Stable Diffusion XL give `scale` 0.13025)",
        scale);
  }
  return fmt::format("{} (from {})", scale,
                     opened.scale_from == "stated" ? "the file's own configuration" : opened.scale_from);
}

}  // namespace

Described describe_autoencoder(const fs::path& path) {
  const OpenedVae opened = open_autoencoder(path, at::kCPU);
  const VaeConfig& config = opened.vae.config();
  // The work at a common size: 256 x 256, or what the stages allow.
  const std::int64_t side = std::max<std::int64_t>(256 / config.factor(), 1) * config.factor();
  const std::vector<PartCost> parts = cost_of(config, side);
  const Json metadata = stated_metadata(opened.metadata);
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
                       {"parts", json_of_parts(parts)},
                       {"tensors", opened.left_alone + opened.vae.parameters().items().size()},
                       {"left_alone", opened.left_alone},
                       {"metadata", metadata}};
  std::string text = fmt::format("{} ({})\nan autoencoder with {} tensor names, identity {}\n{} ({})\n",
                                 opened.weights.string(), opened.container, opened.layout, identity,
                                 write_vae_config(config).dump(), opened.config_from);
  text += fmt::format("latents: {} channels, 1/{} of the image side, scale {}\n", config.latent_channels,
                      config.factor(), scale_text(opened));
  text += fmt::format("{} parameters\n", human_count(static_cast<double>(parameter_count(config))));
  for (const PartCost& part : parts) {
    text += fmt::format("  {:<16} {:>10} parameters {:>10}MAC at {} x {}\n", part.part,
                        human_count(static_cast<double>(part.parameters)), human_count(part.layer_macs), side,
                        side);
  }
  if (opened.left_alone > 0) text += fmt::format("{} other tensors are ignored\n", opened.left_alone);
  return {object, text + lines_of(metadata)};
}

Described describe_feature_network(const WeightsFile& file) {
  const auto network = make_feature_network(file, at::kCPU, at::kFloat);
  const FeatureInfo& info = network->info();
  std::int64_t numbers = 0;
  for (const TensorView& view : file.tensors()) numbers += view.count();
  const Json metadata = stated_metadata(file.metadata(), /*with_configuration=*/true);
  const Json object = {{"path", file.path().string()},
                       {"kind", "feature network"},
                       {"file", file.kind()},
                       {"name", info.name},
                       {"identity", info.identity},
                       {"frechet", info.frechet_label()},
                       {"width", info.width},
                       {"spatial", info.spatial},
                       {"classes", info.classes},
                       {"numbers", numbers},
                       {"tensors", file.tensors().size()},
                       {"metadata", metadata}};
  std::string text = fmt::format("{} ({})\n{}, a feature network of identity {}\n", file.path().string(),
                                 file.kind(), info.name, info.identity);
  text += fmt::format("{} features per image, {} classes: {}{}, IS, precision and recall\n", info.width,
                      info.classes, info.frechet_label(),
                      info.spatial > 0 ? fmt::format(", sFID with {} numbers", info.spatial) : "");
  text += fmt::format("{} numbers in {} tensors\n", human_count(static_cast<double>(numbers)),
                      file.tensors().size());
  return {object, text + lines_of(metadata)};
}

Described describe_statistics(const fs::path& path) {
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
  return {{{"path", path.string()},
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
          text};
}

Described describe_image(const fs::path& path) {
  const Image image = read_image(path);
  Json object = {{"path", path.string()},
                 {"width", image.width},
                 {"height", image.height},
                 {"channels", image.channels}};
  std::string text = fmt::format("{}: {} x {}, {}\n", path.string(), image.width, image.height,
                                 image.channels == 1 ? "grey" : "RGB");
  if (path.extension() == ".png") {
    for (const auto& [key, value] : read_png_text(path)) {
      const Json parsed = Json::parse(value, nullptr, /*allow_exceptions=*/false);
      object["text"][key] = parsed.is_discarded() ? Json(value) : parsed;
      text += fmt::format("{} = {}\n", key, value);
    }
  }
  return {object, text};
}

}  // namespace diffit::jobs
