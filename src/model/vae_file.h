// Autoencoders in and out of files (docs/formats.md).
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "io/tensors/safetensors.h"
#include "io/tensors/weights_file.h"
#include "model/vae_folder.h"
#include "nn/vae/vae.h"

namespace diffit::model {

/// An autoencoder with what is known of the file that it came from.
struct OpenedVae {
  Vae vae;
  fs::path weights;       // the file that was read
  std::string container;  // WeightsFile::kind()
  /// Where the scale of its latents is from: "stated" (our own metadata), "config.json" (diffusers'),
  /// "scale_factor" (a tensor of a whole checkpoint) or "assumed" (nothing says it: Stable Diffusion's
  /// 0.18215).
  std::string scale_from;
  std::string config_from;     // "stated", "config.json" or "inferred"
  std::string layout;          // "diffusers", "older diffusers" or "original", with the prefix in parentheses
  std::size_t left_alone = 0;  // tensors that are no part of it
  Metadata metadata;
};

/// The autoencoder of a file (safetensors, its index, or torch.save's) or of a folder of diffusers
/// (model/vae_folder.h), float32 on `device`: our own (configuration in the metadata), diffusers'
/// (config.json), or any other, whose configuration is inferred; under diffusers' current or older names or
/// the original ones, by itself or with what lies beside it in checkpoints, which is left alone.
/// Error(invalid) lists every tensor that does not fit, by the file's own names.
OpenedVae open_autoencoder(const fs::path& path, at::Device device);
/// The configuration in diffusers' config.json that belongs to the weights of `place`; nothing without one.
std::optional<VaeConfig> config_beside(const VaePlace& place, const WeightsFile& file);
Vae load_vae(const fs::path& path, at::Device device);

/// The autoencoder in these tensors. `stated` comes before what is inferred, the metadata before both.
/// Error(invalid) begins with `where`.
Vae load_vae(std::span<const TensorView> tensors, const Metadata& metadata, const std::string& where,
             at::Device device, const std::optional<VaeConfig>& stated = std::nullopt);

/// Metadata of an autoencoder that convert rounded: the identity of the one that it was made of.
inline constexpr const char* kRoundedFromKey = "diffit.rounded_from";
/// Whether this is the autoencoder of that identity, or was rounded from it.
bool is_autoencoder(const OpenedVae& opened, const std::string& identity);

/// Whether the metadata states the configuration of an autoencoder.
bool states_vae(const Metadata& metadata, const std::string& where);
/// Whether the tensors' names are an autoencoder's.
bool looks_like_vae(std::span<const TensorView> tensors);

/// Writes an autoencoder with its configuration, whole or not at all; `extra` is added to the metadata. A
/// weight that is not finite is Error(failed).
void save_vae(const fs::path& path, const Vae& vae, const Metadata& extra);

/// Tells autoencoders apart: 8 hexadecimal digits, the CRC-32 of norm_groups and of the parameters' names and
/// float32 bytes. The same for every layout and container; latents of another identity are another space.
std::string vae_identity(const Vae& vae);

}  // namespace diffit::model
