// Latent models and autoencoders out of files, as `sample` uses them.
#pragma once

#include <memory>

#include "diffusion/latent_generate.h"
#include "model/diffusion_model.h"
#include "nn/vae/vae.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

/// Error(invalid) where guidance is on and the model's row of the null label was not trained (convert
/// --null-row).
void check_null_row(const WeightsFile& file, const Guidance& guidance);
/// A latent model as a noise_network() (diffusion/latent_generate.h), which shares its weights.
LatentNetwork network_of(const DiffusionModel& model);

/// The autoencoder for a model's latents: `given` (--vae) where that is not empty, else what the model names
/// (metadata `diffit.vae`) or what lies beside it as NAME-vae.safetensors; "" where there is none.
fs::path vae_path(const std::string& given, const WeightsFile& model);

/// Error(invalid) where it cannot decode this model's latents: other channels, or another autoencoder or
/// scale than the model was trained with, where it says (metadata `diffit.vae_identity`,
/// `diffit.latent_scale`).
Vae open_vae(const fs::path& path, const WeightsFile& model, const LatentConfig& config, at::Device device);

/// Images [B, C, H, W] float32 in [-1, 1] -> the means of their latents as diffusion models have them,
/// [B, L, h, w] float32 on the CPU.
at::Tensor encode_means(const Vae& vae, const at::Tensor& images);

/// Latents [B, L, h, w] as diffusion models have them -> images [B, C, H, W] float32 on the CPU, one at a
/// time. Images that are not finite are Error(failed).
at::Tensor decode_latents(const Vae& vae, const at::Tensor& latents);

}  // namespace diffit::jobs
