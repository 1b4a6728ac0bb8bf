// Autoencoders in and out of files (docs/formats.md).
#pragma once

#include <span>
#include <string>

#include "base/file.h"
#include "io/safetensors.h"
#include "nn/vae.h"

namespace diffit {

/// The autoencoder in these tensors, float32 on `device`: our own files (configuration in the metadata),
/// Stable Diffusion's (inferred), under diffusers' current or older names or the original ones, by itself or
/// inside a whole checkpoint (first_stage_model.), whose other tensors are left alone. Error(invalid) lists
/// every tensor that does not fit, by the file's own names, and begins with `where`.
Vae load_vae(std::span<const TensorView> tensors, const Metadata& metadata, const std::string& where,
             at::Device device);
Vae load_vae(const fs::path& path, at::Device device);

/// Writes an autoencoder with its configuration, whole or not at all; `extra` is added to the metadata. A
/// weight that is not finite is Error(failed).
void save_vae(const fs::path& path, const Vae& vae, const Metadata& extra);

/// Tells autoencoders apart: 8 hexadecimal digits, the CRC-32 of norm_groups and of the parameters' names and
/// float32 bytes. The same for every layout and container; latents of another identity are another space.
std::string vae_identity(const Vae& vae);

}  // namespace diffit
