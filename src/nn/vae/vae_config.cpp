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

}  // namespace diffit::nn
