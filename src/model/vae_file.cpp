#include "model/vae_file.h"

#include <zlib.h>

#include "base/error.h"
#include "base/printable.h"
#include "io/tensors/convert_dtype.h"
#include "model/model_file.h"
#include "nn/layers/weights_io.h"
#include "nn/vae/diffusers_config.h"
#include "nn/vae/vae_names.h"
#include "runtime/pch.h"

namespace diffit::model {

namespace {

/// What the metadata states; nothing without it.
std::optional<VaeConfig> stated_config(const Metadata& metadata, const std::string& where) {
  const auto found = metadata.find(kConfigKey);
  if (found == metadata.end()) return std::nullopt;
  const std::string place = where + ": " + kConfigKey;
  return read_vae_config(parse_json(found->second, place), place);
}

/// Before memory is taken for what a configuration claims.
void check_size(std::span<const TensorView> tensors, const VaeConfig& config, const std::string& where) {
  std::int64_t held = 0;
  for (const TensorView& view : tensors) held += view.count();
  // Factor 2: a few missing tensors pass here and are reported by name when the weights are loaded.
  DIFFIT_CHECK(parameter_count(config) / 2 <= held,
               "{}: its configuration needs {} parameters, but the file contains {}", where,
               parameter_count(config), held);
}

/// The number by which a whole checkpoint of latent diffusion multiplies its latents, where it holds it.
std::optional<double> scale_factor_in(std::span<const TensorView> tensors) {
  for (const TensorView& view : tensors) {
    if (view.name != "scale_factor" || view.count() != 1 || !is_floating(view.dtype)) continue;
    const double scale = to_tensor(view).to(at::kDouble).flatten()[0].item<double>();
    if (scale >= 1e-6 && scale <= 1e6) return scale;
  }
  return std::nullopt;
}

/// Whether a config.json describes the widths and channels that the tensors have.
bool describes(const Json& config, const WeightsFile& file) {
  try {
    VaeConfig any_groups;
    any_groups.norm_groups = 1;
    const std::string where = file.path().string();
    const VaeConfig c = infer_vae_config(file.tensors(), layout_of(file.tensors(), where), where, any_groups);
    return config.value("block_out_channels", Json()) == Json(c.channels) &&
           config.value("layers_per_block", Json(1)) == Json(c.blocks) &&
           config.value("latent_channels", Json(4)) == Json(c.latent_channels);
  } catch (const Error&) {
    return false;
  }
}

/// The parameters as the file names and shapes them. They share storage.
ParameterList as_in_file(const Vae& vae, const VaeLayout& layout) {
  ParameterList list;
  for (const Parameter& p : vae.parameters()) {
    const std::string name = layout.name_of(p.name, vae.config().stages());
    const bool convolution = layout.kind == VaeLayout::Kind::original && p.tensor.dim() == 2;
    list.add(name, convolution ? p.tensor.view({p.tensor.size(0), p.tensor.size(1), 1, 1}) : p.tensor,
             p.initializer);
  }
  return list;
}

}  // namespace

std::optional<VaeConfig> config_beside(const VaePlace& place, const WeightsFile& file) {
  if (!place.config_json || !(place.must_fit || describes(*place.config_json, file))) return std::nullopt;
  return read_diffusers_config(*place.config_json, place.config.string());
}

Vae load_vae(std::span<const TensorView> tensors, const Metadata& metadata, const std::string& where,
             at::Device device, const std::optional<VaeConfig>& stated) {
  const std::optional<VaeConfig> own = stated_config(metadata, where);
  const VaeLayout layout = layout_of(tensors, where);
  VaeConfig config = own ? *own : stated ? *stated : infer_vae_config(tensors, layout, where);
  if (const std::optional<double> scale = scale_factor_in(tensors); scale && !own && !stated) {
    config.scale = *scale;
  }
  check_size(tensors, config, where);
  Vae vae(config);
  std::vector<TensorView> kept;
  for (const TensorView& view : tensors) {
    if (!view.name.starts_with(layout.prefix)) continue;
    if (!is_unrelated(std::string_view(view.name).substr(layout.prefix.size()))) kept.push_back(view);
  }
  load_parameters(as_in_file(vae, layout), kept, layout.prefix, where);
  vae.parameters().to(device);
  return vae;
}

OpenedVae open_autoencoder(const fs::path& path, at::Device device) {
  const VaePlace place = find_vae(path);
  const WeightsFile file(place.weights);
  const std::string where = place.weights.string();
  DIFFIT_CHECK(!file.metadata().contains(kStateKey),
               "{}: wanted an autoencoder, got a training checkpoint: give a snapshot from the same folder, "
               "or create one with diffit convert --ema",
               where);
  const std::optional<VaeConfig> beside = config_beside(place, file);
  const bool own = file.metadata().contains(kConfigKey);
  Vae vae = load_vae(file.tensors(), file.metadata(), where, device, beside);
  const VaeLayout layout = layout_of(file.tensors(), where);
  OpenedVae opened{.vae = std::move(vae),
                   .weights = place.weights,
                   .container = file.kind(),
                   .scale_from = {},
                   .config_from = {},
                   .layout = {},
                   .left_alone = 0,
                   .metadata = file.metadata()};
  opened.config_from = own ? "stated" : beside ? "config.json" : "inferred";
  opened.scale_from = own                               ? "stated"
                      : beside                          ? "config.json"
                      : scale_factor_in(file.tensors()) ? "scale_factor"
                                                        : "assumed";
  opened.layout = layout.kind == VaeLayout::Kind::original  ? "original"
                  : layout.kind == VaeLayout::Kind::current ? "diffusers"
                                                            : "older diffusers";
  const std::string prefix = file.wrapper() + layout.prefix;
  if (!prefix.empty()) opened.layout += fmt::format(" (under {})", printable(prefix));
  opened.left_alone = file.tensors().size() - opened.vae.parameters().items().size();
  return opened;
}

Vae load_vae(const fs::path& path, at::Device device) {
  return open_autoencoder(path, device).vae;
}

bool is_autoencoder(const OpenedVae& opened, const std::string& identity) {
  const auto rounded = opened.metadata.find(kRoundedFromKey);
  return (rounded != opened.metadata.end() && rounded->second == identity) ||
         vae_identity(opened.vae) == identity;
}

bool states_vae(const Metadata& metadata, const std::string& where) {
  const auto found = metadata.find(kConfigKey);
  if (found == metadata.end()) return false;
  const Json config = parse_json(found->second, where + ": " + kConfigKey);
  return config.is_object() && config.contains("model") && config["model"] == "vae";
}

bool looks_like_vae(std::span<const TensorView> tensors) {
  try {
    layout_of(tensors, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

void save_vae(const fs::path& path, const Vae& vae, const Metadata& extra) {
  save_weights(path, vae.parameters(), write_vae_config(vae.config()), extra);
}

std::string vae_identity(const Vae& vae) {
  uLong crc = crc32_z(0, nullptr, 0);
  const auto add = [&crc](const void* bytes, std::size_t size) {
    crc = crc32_z(crc, static_cast<const Bytef*>(bytes), size);
  };
  const std::string groups = fmt::format("norm_groups {}", vae.config().norm_groups);
  add(groups.data(), groups.size());
  for (const Parameter& p : vae.parameters()) {
    const at::Tensor numbers = p.tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    add(p.name.data(), p.name.size());
    add(numbers.const_data_ptr(), numbers.nbytes());
  }
  return fmt::format("{:08x}", static_cast<std::uint32_t>(crc));
}

}  // namespace diffit::model
