#include "train/vae_file.h"

#include <zlib.h>

#include "base/error.h"
#include "kernels/pch.h"
#include "nn/state.h"
#include "nn/vae_names.h"
#include "train/model_file.h"

namespace diffit {

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
  // Twice: what a few missing tensors leave is told by their names.
  DIFFIT_CHECK(parameter_count(config) / 2 <= held,
               "{}: its configuration asks for {} parameters, the file holds {}", where,
               parameter_count(config), held);
}

/// The parameters as the file names and shapes them. They share storage.
ParameterList as_in_file(const Vae& vae, const VaeLayout& layout) {
  ParameterList list;
  for (const Parameter& p : vae.parameters()) {
    const std::string name = layout.name_of(p.name, vae.config().stages());
    const bool convolution = layout.kind == VaeLayout::Kind::original && p.tensor.dim() == 2;
    list.add(name, convolution ? p.tensor.view({p.tensor.size(0), p.tensor.size(1), 1, 1}) : p.tensor,
             p.start);
  }
  return list;
}

}  // namespace

Vae load_vae(std::span<const TensorView> tensors, const Metadata& metadata, const std::string& where,
             at::Device device) {
  const std::optional<VaeConfig> stated = stated_config(metadata, where);
  const VaeLayout layout = layout_of(tensors, where);
  const VaeConfig config = stated ? *stated : infer_vae_config(tensors, layout, where);
  check_size(tensors, config, where);
  Vae vae(config);
  std::vector<TensorView> kept;
  for (const TensorView& view : tensors) {
    // What trained the autoencoder of a whole checkpoint.
    if (layout.prefix.empty() || !view.name.starts_with(layout.prefix + "loss.")) kept.push_back(view);
  }
  load_parameters(as_in_file(vae, layout), kept, layout.prefix, where);
  if (device.type() != at::kCPU) {
    for (const Parameter& p : vae.parameters())
      const_cast<at::Tensor&>(p.tensor).set_data(p.tensor.to(device));
  }
  return vae;
}

Vae load_vae(const fs::path& path, at::Device device) {
  const SafetensorsFile file(path);
  return load_vae(file.tensors(), file.metadata(), path.string(), device);
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

}  // namespace diffit
