#include "nn/vae/vae_config.h"

namespace diffit::nn {

VaeConfig read_vae_config(const Json& object, const std::string& where) {
  DIFFIT_CHECK(object.is_object() && object.contains("model") && object["model"].is_string(),
               "{}: wanted \"model\": \"vae\"", where);
  const std::string kind = object["model"];
  DIFFIT_CHECK(kind == "vae", "{}: wanted an autoencoder (\"model\": \"vae\"), got a model of kind \"{}\"",
               where, kind);
  const std::string model_key[] = {"model"};
  VaeConfig config;
  read_fields(config, object, where, model_key);
  check_config(config, where);
  return config;
}

Json write_vae_config(const VaeConfig& config) {
  Json object = Json::object();
  object["model"] = "vae";
  object.update(write_fields(config));
  return object;
}

void check_config(const VaeConfig& c, const std::string& where) {
  DIFFIT_CHECK(!c.channels.empty() && c.channels.size() <= 8, "{}: channels: wanted 1 to 8 stages, got {}",
               where, c.channels.size());
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    DIFFIT_CHECK(c.channels[i] % c.norm_groups == 0,
                 "{}: channels[{}] = {} cannot be split into norm_groups = {} groups", where, i,
                 c.channels[i], c.norm_groups);
  }
}

namespace {

std::int64_t of_convolution(std::int64_t in, std::int64_t out, std::int64_t kernel) {
  return in * out * kernel * kernel + out;
}

std::int64_t of_residual_block(std::int64_t in, std::int64_t out) {
  return 2 * in + of_convolution(in, out, 3) + 2 * out + of_convolution(out, out, 3) +
         (in == out ? 0 : of_convolution(in, out, 1));
}

std::int64_t of_mid_block(std::int64_t width) {
  return 2 * of_residual_block(width, width) + 2 * width + 4 * of_convolution(width, width, 1);
}

}  // namespace

std::int64_t parameter_count(const VaeConfig& c) {
  const std::int64_t first = c.channels.front(), last = c.channels.back(), moments = 2 * c.latent_channels;
  std::int64_t count = of_convolution(c.in_channels, first, 3) + 2 * last + of_convolution(last, moments, 3) +
                       of_convolution(moments, moments, 1) +
                       of_convolution(c.latent_channels, c.latent_channels, 1) +
                       of_convolution(c.latent_channels, last, 3) + 2 * first +
                       of_convolution(first, c.in_channels, 3) + 2 * of_mid_block(last);
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    const std::int64_t width = c.channels[i], above = i == 0 ? first : c.channels[i - 1];
    const std::int64_t below = i + 1 == c.channels.size() ? last : c.channels[i + 1];
    const std::int64_t resamplers = i + 1 == c.channels.size() ? 0 : of_convolution(width, width, 3);
    const std::int64_t upsampler = i == 0 ? 0 : of_convolution(width, width, 3);
    count += of_residual_block(above, width) + (c.blocks - 1) * of_residual_block(width, width) + resamplers;
    count += of_residual_block(below, width) + c.blocks * of_residual_block(width, width) + upsampler;
  }
  return count;
}

}  // namespace diffit::nn
