// Tensor names of autoencoders in the file formats in which they are published.
#pragma once

#include <span>
#include <string>

#include "io/tensors/safetensors.h"
#include "nn/vae/vae_config.h"

namespace diffit::nn {

/// Naming scheme of the parameters of a Vae in a file.
struct VaeLayout {
  enum class Kind {
    current,   // diffusers: mid_block.attentions.0.to_q
    older,     // diffusers up to 0.17: mid_block.attentions.0.query
    original,  // CompVis: mid.attn_1.q, a 1x1 convolution; decoder.up.0 works at full resolution
  };
  Kind kind = Kind::current;
  std::string prefix;  // of every name: "first_stage_model." in a complete Stable Diffusion checkpoint

  /// Returns the name in this layout, without the prefix, of a parameter of an autoencoder with that many
  /// stages. `name` is the current name in diffusers, or the beginning of one up to a dot.
  std::string name_of(const std::string& name, std::int64_t stages) const;
};

/// Whether a tensor of that name (without the layout's prefix) is known to belong to something else that
/// checkpoints contain besides an autoencoder: its loss and discriminator, EMA weights, optimizer, counters,
/// the diffusion model of a complete checkpoint.
bool is_unrelated(std::string_view name);

/// Returns the layout of the autoencoder in these tensors. Throws Error(invalid) if there is none, if there
/// are several and none has a usual prefix, or if it has a code book.
VaeLayout layout_of(std::span<const TensorView> tensors, const std::string& where);

/// Infers the configuration from names and shapes. norm_groups and scale, which do not follow from them, are
/// taken from `otherwise`. Throws Error(invalid), naming the tensor, if a tensor that it needs is missing.
VaeConfig infer_vae_config(std::span<const TensorView> tensors, const VaeLayout& layout,
                           const std::string& where, const VaeConfig& otherwise = {});

}  // namespace diffit::nn
