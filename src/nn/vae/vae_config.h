// Configuration of the autoencoder, as stored in its file under the metadata key "diffit.config".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/fields.h"

namespace diffit::nn {

/// AutoencoderKL of latent diffusion (Rombach et al. 2022, f = 8, KL-regularized). The defaults are Stable
/// Diffusion's: 83.7 M parameters.
struct VaeConfig {
  std::int64_t in_channels = 3;                            // of an image
  std::int64_t latent_channels = 4;                        // L
  std::vector<std::int64_t> channels{128, 256, 512, 512};  // of each stage; stage i works at 1 / 2^i
  std::int64_t blocks = 2;  // residual blocks of an encoder stage; decoder: + 1
  std::int64_t norm_groups = 32;
  double scale = 0.18215;  // diffusion models use latents z * scale

  std::int64_t stages() const { return static_cast<std::int64_t>(channels.size()); }
  /// Ratio of the side of an image to the side of its latent.
  std::int64_t factor() const { return std::int64_t{1} << (stages() - 1); }
};

template <class V>
void visit_fields(V& v, VaeConfig& c) {
  v("in_channels", c.in_channels, "channels of an image: 1 for greyscale, 3 for RGB", 1, 64);
  v("latent_channels", c.latent_channels, "channels of a latent", 1, 256);
  v("channels", c.channels, "width of each stage, from full resolution down", 1, 16384);
  v("blocks", c.blocks, "residual blocks of an encoder stage; a decoder stage has one more", 1, 64);
  v("norm_groups", c.norm_groups, "groups of each GroupNorm", 1, 16384);
  v("scale", c.scale, "factor by which latents are multiplied for diffusion models", 1e-6, 1e6);
}

/// Reads and checks a configuration of the form {"model": "vae", ...}. Throws Error(invalid) with a message
/// that begins with `where`.
VaeConfig read_vae_config(const Json& object, const std::string& where);
Json write_vae_config(const VaeConfig& config);

/// Throws Error(invalid) if fields contradict each other. The range of each single field is checked by the
/// reader.
void check_config(const VaeConfig& config, const std::string& where);

/// Returns Vae(config).parameters().count() without allocating the network.
std::int64_t parameter_count(const VaeConfig& config);

}  // namespace diffit::nn
