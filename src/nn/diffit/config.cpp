#include "nn/diffit/config.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "nn/layers/layers.h"
#include "nn/unet/parts.h"

namespace diffit::nn {

namespace {

// Fields that are written only if they differ from their defaults.
constexpr std::array kImageVariants = {"time",         "time_embedding",  "encoder", "decoder",   "sampling",
                                       "precondition", "attention_sides", "dropout", "prediction"};
constexpr std::array kLatentVariants = {"prediction", "learned_variance"};

template <class Config>
Json write_without_defaults(const Config& config, std::span<const char* const> variants) {
  Json object = write_fields(config);
  const Json defaults = write_fields(Config{});
  for (const char* key : variants) {
    if (object[key] == defaults[key]) object.erase(key);
  }
  return object;
}

}  // namespace

std::int64_t ImageConfig::window_of(std::int64_t stage) const {
  const std::int64_t side = resolution_of(stage);
  return stage == stages() - 1 ? side : std::min(window, side);
}

bool ImageConfig::attends(std::int64_t stage) const {
  return std::find(attention_sides.begin(), attention_sides.end(), resolution_of(stage)) !=
         attention_sides.end();
}

std::int64_t ImageConfig::vit_depth() const {
  return std::accumulate(depth.begin(), depth.end(), std::int64_t{0});
}

ModelConfig read_model_config(const Json& object, const std::string& where) {
  DIFFIT_CHECK(object.is_object() && object.contains("model") && object["model"].is_string(),
               "{}: wanted \"model\": \"image\" or \"latent\"", where);
  const std::string kind = object["model"];
  const std::string model_key[] = {"model"};
  if (kind == "image") {
    ImageConfig config;
    read_fields(config, object, where, model_key);
    check_config(config, where);
    return config;
  }
  if (kind == "latent") {
    LatentConfig config;
    read_fields(config, object, where, model_key);
    check_config(config, where);
    return config;
  }
  reject("{}: wanted \"model\": \"image\" or \"latent\", got \"{}\"", where, kind);
}

Json write_model_config(const ModelConfig& config) {
  Json object = Json::object();
  if (const auto* image = std::get_if<ImageConfig>(&config)) {
    object["model"] = "image";
    object.update(write_without_defaults(*image, kImageVariants));
  } else {
    object["model"] = "latent";
    object.update(write_without_defaults(std::get<LatentConfig>(config), kLatentVariants));
  }
  return object;
}

namespace {

/// Checks the fields that apply to DDPM++, which has none of DiffiT's stages.
void check_ddpmpp(const ImageConfig& c, const std::string& where) {
  DIFFIT_CHECK(
      c.encoder == Encoder::ddpmpp && c.decoder == Decoder::ddpmpp,
      "{}: encoder '{}' with decoder '{}': 'ddpmpp' is both or neither, because each block has its own skip",
      where, name_of(c.encoder), name_of(c.decoder));
  DIFFIT_CHECK(c.time == TimePath::add || c.time == TimePath::tmsa,
               "{}: time '{}': 'ddpmpp' takes add (with its own attention) or tmsa (with TMSA instead of it)",
               where, name_of(c.time));
  DIFFIT_CHECK(c.sampling == Sampling::convolution,
               "{}: sampling '{}' is for DiffiT's stages; the blocks of 'ddpmpp' downsample and upsample by "
               "themselves: leave it out",
               where, name_of(c.sampling));
  for (const UnetPart& part : ddpmpp_parts(c)) {
    DIFFIT_CHECK(
        part.in % groups_of(part.in) == 0,
        "{}: channels: '{}' of 'ddpmpp' takes {} with its skip, which cannot be split into {} groups "
        "for GroupNorm; take multiples of 32",
        where, part.name, part.in, groups_of(part.in));
  }
}

void check_variant(const ImageConfig& c, const std::string& where) {
  if (c.encoder == Encoder::ddpmpp || c.decoder == Decoder::ddpmpp) return check_ddpmpp(c, where);
  DIFFIT_CHECK(
      c.attention_sides == ImageConfig{}.attention_sides,
      "{}: attention_sides is for encoder 'ddpmpp'; DiffiT has attention in every block: leave it out",
      where);
  const bool diffit = c.encoder == Encoder::diffit && c.decoder == Decoder::diffit;
  DIFFIT_CHECK(
      c.dropout == 0 || diffit,
      "{}: dropout {} is for encoder and decoder 'diffit' or 'ddpmpp'; '{}' with '{}' has plain blocks, "
      "which have no dropout: leave it out",
      where, c.dropout, name_of(c.encoder), name_of(c.decoder));
  DIFFIT_CHECK(
      diffit || c.time == TimePath::tmsa,
      "{}: time '{}' is for encoder and decoder 'diffit'; '{}' with '{}' has plain blocks, which take "
      "time as a token: leave time out",
      where, name_of(c.time), name_of(c.encoder), name_of(c.decoder));
  if (c.time == TimePath::none) {
    DIFFIT_CHECK(c.classes == 0, "{}: with time 'none' there is no way in for {} classes; set classes to 0",
                 where, c.classes);
    DIFFIT_CHECK(c.augment_labels == 0,
                 "{}: with time 'none' there is no way in for augmentation labels; set data.augment to 0",
                 where);
    DIFFIT_CHECK(c.time_embedding == TimeFeatures::positional,
                 "{}: time 'none' has no time_embedding, got '{}'", where, name_of(c.time_embedding));
  }
  if (c.encoder != Encoder::vit) return;
  DIFFIT_CHECK(c.decoder == Decoder::setr_mla,
               "{}: decoder '{}' needs an encoder of several resolutions; 'vit' has one, take decoder "
               "'setr_mla' or encoder 'multi_resolution'",
               where, name_of(c.decoder));
  DIFFIT_CHECK(c.sampling == Sampling::convolution,
               "{}: sampling '{}' has no effect on encoder 'vit' with decoder 'setr_mla', which do not "
               "downsample or upsample; leave it out",
               where, name_of(c.sampling));
  DIFFIT_CHECK(
      c.vit_depth() >= c.stages(),
      "{}: decoder 'setr_mla' takes {} levels of encoder 'vit', but depth has only {} blocks in total", where,
      c.stages(), c.vit_depth());
}

}  // namespace

void check_config(const ImageConfig& c, const std::string& where) {
  DIFFIT_CHECK(!c.channels.empty() && c.channels.size() <= 12, "{}: channels: wanted 1 to 12 stages, got {}",
               where, c.channels.size());
  DIFFIT_CHECK(c.depth.size() == c.channels.size(), "{}: depth has {} stages, channels has {}", where,
               c.depth.size(), c.channels.size());
  const std::int64_t halvings = std::int64_t{1} << (c.stages() - 1);
  DIFFIT_CHECK(c.resolution % halvings == 0, "{}: resolution {} cannot be halved {} times", where,
               c.resolution, c.stages() - 1);
  for (std::int64_t i = 0; i < c.stages(); ++i) {
    const std::int64_t width = c.channels[static_cast<std::size_t>(i)];
    const bool attends = !c.is_ddpmpp() || c.attends(i) || i == c.stages() - 1;
    DIFFIT_CHECK(!attends || width % c.head_dim == 0,
                 "{}: channels[{}] = {} is not a multiple of head_dim = {}", where, i, width, c.head_dim);
    const std::int64_t groups = groups_of(width);
    DIFFIT_CHECK(groups >= 1 && width % groups == 0,
                 "{}: channels[{}] = {} cannot be split into {} groups for GroupNorm; take a multiple of 4 "
                 "up to 128, of 32 "
                 "above",
                 where, i, width, groups);
    DIFFIT_CHECK(c.is_ddpmpp() || c.resolution_of(i) % c.window_of(i) == 0,
                 "{}: window {} does not divide stage {}'s side {}", where, c.window_of(i), i,
                 c.resolution_of(i));
  }
  check_variant(c, where);
}

void check_config(const LatentConfig& c, const std::string& where) {
  DIFFIT_CHECK(c.input_size % c.patch == 0, "{}: patch {} does not divide input_size {}", where, c.patch,
               c.input_size);
  DIFFIT_CHECK(c.hidden % c.heads == 0, "{}: heads {} does not divide hidden {}", where, c.heads, c.hidden);
  DIFFIT_CHECK(c.hidden % 4 == 0, "{}: hidden {} is not a multiple of 4, which the position table requires",
               where, c.hidden);
  DIFFIT_CHECK(c.prediction != Prediction::automatic && c.prediction != Prediction::edm,
               "{}: prediction: latent models take x0, eps, v or velocity, got '{}'", where,
               name_of(c.prediction));
}

}  // namespace diffit::nn
