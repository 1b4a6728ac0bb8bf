#include "nn/features/classifier_config.h"

#include <algorithm>
#include <cctype>

namespace diffit::nn {

bool names_classifier(const Json& config) {
  return config.is_object() && config.contains("model") && config["model"] == "classifier";
}

ClassifierConfig read_classifier_config(const Json& object, const std::string& where) {
  DIFFIT_CHECK(names_classifier(object), "{}: wanted a classifier (\"model\": \"classifier\")", where);
  const std::string model_key[] = {"model"};
  ClassifierConfig config;
  read_fields(config, object, where, model_key);
  check_config(config, where);
  return config;
}

Json write_classifier_config(const ClassifierConfig& config) {
  Json object = Json::object();
  object["model"] = "classifier";
  object.update(write_fields(config));
  return object;
}

void check_config(const ClassifierConfig& c, const std::string& where) {
  const bool plain = !c.name.empty() && c.name.size() <= 64 &&
                     std::all_of(c.name.begin(), c.name.end(), [](unsigned char x) {
                       return std::isalnum(x) != 0 || x == '-' || x == '_';
                     });
  DIFFIT_CHECK(plain, "{}: name: wanted 1 to 64 letters, digits, - or _", where);
  DIFFIT_CHECK(c.in_channels != 2, "{}: in_channels: wanted 1 or 3, got 2", where);
  DIFFIT_CHECK(!c.channels.empty() && c.channels.size() <= 12, "{}: channels: wanted 1 to 12 stages, got {}",
               where, c.channels.size());
  DIFFIT_CHECK(c.resolution % (std::int64_t{1} << c.channels.size()) == 0,
               "{}: channels: resolution {} cannot be halved {} times, once a stage", where, c.resolution,
               c.channels.size());
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    DIFFIT_CHECK(c.channels[i] % c.norm_groups == 0,
                 "{}: channels[{}] = {} cannot be split into norm_groups = {} groups", where, i,
                 c.channels[i], c.norm_groups);
  }
}

Structure describe(const ClassifierConfig& c) {
  const auto pixels_of = [&](std::size_t halvings) {
    const auto side = static_cast<double>(c.resolution >> halvings);
    return side * side;
  };
  Structure s;
  s.part("stem");
  s.convolution("stem", c.in_channels, c.channels[0], 3, pixels_of(1));
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    const std::int64_t width = c.channels[i];
    const double pixels = pixels_of(i + 1);
    const std::string stage = fmt::format("stages.{}", i);
    s.part(stage);
    if (i > 0) s.convolution(stage + ".down", c.channels[i - 1], width, 3, pixels);
    for (std::int64_t k = 0; k < c.blocks; ++k) {
      for (const int layer : {1, 2}) {
        s.norm(fmt::format("{}.blocks.{}.norm{}", stage, k, layer), width, pixels);
        s.convolution(fmt::format("{}.blocks.{}.conv{}", stage, k, layer), width, width, 3, pixels);
      }
    }
  }
  s.part("head");
  s.norm("norm", c.width(), pixels_of(c.channels.size()));
  s.linear("fc", c.width(), c.classes, 1, /*bias=*/false);
  return s;
}

std::vector<PartCost> cost_of(const ClassifierConfig& config) {
  return cost_of(describe(config));
}

}  // namespace diffit::nn
