// Configuration of an image classifier, as stored in its file under the metadata key "diffit.config".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/fields.h"
#include "nn/layers/structure.h"

namespace diffit::nn {

/// Small residual network. Its pooled features are used for metrics on data for which Inception's features
/// are a poor fit.
struct ClassifierConfig {
  std::string name = "FashionNet";  // metrics computed from its features are called FD-NAME
  std::int64_t resolution = 32, in_channels = 1, classes = 10;
  std::vector<std::int64_t> channels{32, 64, 128};  // width of each stage; stage i has side R / 2^(i + 1)
  std::int64_t blocks = 1;                          // residual blocks in each stage
  std::int64_t norm_groups = 8;

  /// D, the width of the pooled features.
  std::int64_t width() const { return channels.back(); }
};

template <class V>
void visit_fields(V& v, ClassifierConfig& c) {
  v("name", c.name, "metrics of its features are called FD-NAME");
  v("resolution", c.resolution, "side of the images; smaller ones are padded with zeros", 1, 4096);
  v("in_channels", c.in_channels, "channels of an image: 1 for greyscale, 3 for RGB", 1, 3);
  v("classes", c.classes, "number of classes", 2, 1e6);
  v("channels", c.channels, "width of each stage, from half the resolution down", 1, 16384);
  v("blocks", c.blocks, "residual blocks of a stage", 0, 64);
  v("norm_groups", c.norm_groups, "groups of each GroupNorm", 1, 16384);
}

/// Reads and checks a configuration of the form {"model": "classifier", ...}. Throws Error(invalid) with a
/// message that begins with `where`.
ClassifierConfig read_classifier_config(const Json& object, const std::string& where);
Json write_classifier_config(const ClassifierConfig& config);
/// Returns whether a configuration belongs to a classifier, that is, whether "model" is "classifier".
bool names_classifier(const Json& config);

/// Throws Error(invalid) if fields contradict each other. The range of each single field is checked by the
/// reader.
void check_config(const ClassifierConfig& config, const std::string& where);

/// Describes every layer in the order of the parameters.
Structure describe(const ClassifierConfig& config);

/// Cost of one forward pass for one image, with the parts "stem", "stages.0", ..., "head".
std::vector<PartCost> cost_of(const ClassifierConfig& config);

}  // namespace diffit::nn
