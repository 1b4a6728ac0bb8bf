// Names of the autoencoder's tensors in the files that hold one.
#pragma once

#include <span>
#include <string>

#include "io/tensors/safetensors.h"
#include "nn/vae/vae_config.h"

namespace diffit::nn {

/// How a file names and shapes the parameters of a Vae.
struct VaeLayout {
  enum class Kind {
    current,   // diffusers: mid_block.attentions.0.to_q
    older,     // diffusers up to 0.17: mid_block.attentions.0.query
    original,  // CompVis: mid.attn_1.q, a 1x1 convolution; decoder.up.0 works at full resolution
  };
  Kind kind = Kind::current;
  std::string prefix;  // before every name: "first_stage_model." in a whole Stable Diffusion checkpoint

  /// What this layout calls the parameter `name` (diffusers' current name, or the beginning of one that ends
  /// with a dot) of an autoencoder of so many stages; without the prefix.
  std::string name_of(const std::string& name, std::int64_t stages) const;
};

/// Whether a tensor of that name (without the layout's prefix) is known to be no part of an autoencoder but
/// something that lies beside it in checkpoints: its loss and discriminator, averages, an optimiser,
/// counters, the diffusion model of a whole checkpoint.
bool is_left_over(std::string_view name);

/// The layout of the autoencoder in these tensors. Error(invalid) where their names are none's, where there
/// are several under prefixes of which none is usual, and where it has a code book.
VaeLayout layout_of(std::span<const TensorView> tensors, const std::string& where);

/// The configuration that names and shapes tell; norm_groups and scale, which they do not, are those of
/// `otherwise`. Error(invalid) names the tensor without which it cannot be told.
VaeConfig infer_vae_config(std::span<const TensorView> tensors, const VaeLayout& layout,
                           const std::string& where, const VaeConfig& otherwise = {});

}  // namespace diffit::nn
