// Configuration of a classifier of pictures: what its file says of itself under "diffit.config".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/fields.h"
#include "nn/cost.h"

namespace diffit {

/// A small residual network whose pooled features stand for a picture where Inception's weights do not serve.
struct ClassifierConfig {
  std::string name = "FashionNet";  // figures by its features are called FD-NAME
  std::int64_t resolution = 32, in_channels = 1, classes = 10;
  std::vector<std::int64_t> channels{32, 64, 128};  // of each stage; stage i works at 1 / 2^(i + 1)
  std::int64_t blocks = 1;                          // residual blocks of a stage
  std::int64_t norm_groups = 8;

  /// D, the width of the pooled features.
  std::int64_t width() const { return channels.back(); }
};

template <class V>
void visit_fields(V& v, ClassifierConfig& c) {
  v("name", c.name, "figures by its features are called FD-NAME");
  v("resolution", c.resolution, "side of the pictures; smaller ones are framed with zeros", 1, 4096);
  v("in_channels", c.in_channels, "of a picture: 1 for grey, 3 for RGB", 1, 3);
  v("classes", c.classes, "number of classes", 2, 1e6);
  v("channels", c.channels, "width of each stage, from half the resolution down", 1, 16384);
  v("blocks", c.blocks, "residual blocks of a stage", 0, 64);
  v("norm_groups", c.norm_groups, "groups of each GroupNorm", 1, 16384);
}

/// Reads and checks a configuration: {"model": "classifier", ...}. Error(invalid) begins with `where`.
ClassifierConfig read_classifier_config(const Json& object, const std::string& where);
Json write_classifier_config(const ClassifierConfig& config);
/// Whether a configuration calls itself a classifier's.
bool names_classifier(const Json& config);

/// Error(invalid) where the fields contradict each other; ranges alone are checked when they are read.
void check_config(const ClassifierConfig& config, const std::string& where);

/// One evaluation of one picture: the parts "stem", "stages.0", ..., "head".
std::vector<PartCost> cost_of(const ClassifierConfig& config);

}  // namespace diffit
