#include "nn/vae/diffusers_config.h"

#include <algorithm>

#include "base/printable.h"

namespace diffit::nn {

namespace {

/// Whether a key is missing or null.
bool lacks(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found == config.end() || found->is_null();
}

/// Checks a field that changes what the network computes: only Stable Diffusion's value is supported.
void check_same(const Json& config, const char* key, const Json& wanted, const std::string& where) {
  DIFFIT_CHECK(lacks(config, key) || config[key] == wanted,
               "{}: {}: {} is an architecture that is not supported, wanted {}", where, key,
               printable(config[key].dump()), wanted.dump());
}

void check_blocks(const Json& config, const char* key, const char* wanted, std::size_t stages,
                  const std::string& where) {
  if (lacks(config, key)) return;
  const Json& blocks = config[key];
  DIFFIT_CHECK(blocks.is_array(), "{}: {}: wanted a list, got {}", where, key, printable(blocks.dump()));
  for (const Json& block : blocks) {
    DIFFIT_CHECK(block == wanted, "{}: {}: {} is an architecture that is not supported, wanted {}", where,
                 key, printable(block.dump()), wanted);
  }
  DIFFIT_CHECK(blocks.size() == stages, "{}: {} has {} stages, block_out_channels has {}", where, key,
               blocks.size(), stages);
}

/// Checks a field by which latents would be shifted: it must be missing or 0.
void check_not_shifted(const Json& config, const char* key, const std::string& where) {
  DIFFIT_CHECK(
      lacks(config, key) || config[key] == 0,
      "{}: {} is {}: shifted latents are not supported, wanted an autoencoder whose latents are only "
      "scaled (scaling_factor)",
      where, key, printable(config[key].dump()));
}

template <class T>
void read_if_present(const Json& config, const char* key, T& out, const std::string& where, double low,
                     double high) {
  if (!lacks(config, key)) detail::read_field(config[key], out, where + ": " + key, low, high);
}

}  // namespace

std::string diffusers_class(const Json& config) {
  if (!config.is_object() || !config.contains("_class_name") || !config["_class_name"].is_string()) return "";
  return config["_class_name"].get<std::string>();
}

VaeConfig read_diffusers_config(const Json& config, const std::string& where) {
  DIFFIT_CHECK(config.is_object(), "{}: wanted the configuration of an autoencoder, got {}", where,
               config.type_name());
  const std::string kind = diffusers_class(config);
  DIFFIT_CHECK(kind == "AutoencoderKL", "{}: wanted _class_name AutoencoderKL, got {}", where,
               kind.empty() ? "none" : printable(kind));
  VaeConfig c;
  read_if_present(config, "in_channels", c.in_channels, where, 1, 64);
  read_if_present(config, "latent_channels", c.latent_channels, where, 1, 256);
  c.channels = {64};  // the default of diffusers
  read_if_present(config, "block_out_channels", c.channels, where, 1, 16384);
  c.blocks = 1;
  read_if_present(config, "layers_per_block", c.blocks, where, 1, 64);
  read_if_present(config, "norm_num_groups", c.norm_groups, where, 1, 16384);
  read_if_present(config, "scaling_factor", c.scale, where, 1e-6, 1e6);
  check_same(config, "out_channels", c.in_channels, where);
  check_blocks(config, "down_block_types", "DownEncoderBlock2D", c.channels.size(), where);
  check_blocks(config, "up_block_types", "UpDecoderBlock2D", c.channels.size(), where);
  if (!lacks(config, "act_fn")) {
    DIFFIT_CHECK(config["act_fn"] == "silu" || config["act_fn"] == "swish",
                 "{}: act_fn: {} is an architecture that is not supported, wanted silu", where,
                 printable(config["act_fn"].dump()));
  }
  for (const char* key : {"use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"}) {
    check_same(config, key, true, where);
  }
  for (const char* key : {"shift_factor", "latents_mean", "latents_std"})
    check_not_shifted(config, key, where);
  check_config(c, where);
  return c;
}

}  // namespace diffit::nn
