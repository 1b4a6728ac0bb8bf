// Descriptions of files: parts of diffit::describe() (diffit/describe.h).
#pragma once

#include "base/file.h"
#include "config/fields.h"
#include "diffit/describe.h"
#include "io/tensors/weights_file.h"

namespace diffit::jobs {

/// A description as JSON, and in words.
struct Described {
  Json json;
  std::string text;
};

/// The program, its models and presets, and the machine.
Described describe_installation(const RuntimeOptions& options, Monitor& monitor);

/// Labels and names of the classes of a model, or of a table by its name.
Described describe_classes(const std::string& what);

/// A model or a checkpoint. `check`: also reads every weight. Throws Error(invalid) for a file that holds
/// none and for weights that do not fit.
Described describe_model(const fs::path& path, bool check);

/// An autoencoder, a file or a folder of diffusers. Reads every weight.
Described describe_autoencoder(const fs::path& path);

/// A feature network. Reads every weight.
Described describe_feature_network(const WeightsFile& file);

/// Statistics of a feature network (metrics/reference.h).
Described describe_statistics(const fs::path& path);

/// Size of an image, and the text of a PNG.
Described describe_image(const fs::path& path);

/// The entries of metadata whose keys begin with "diffit.", without long ones and,
/// unless asked for, the configuration.
Json stated_metadata(const Metadata& metadata, bool with_configuration = false);

/// {"part", "parameters", "macs", "attention_macs"} for each part of a network.
template <class Parts>
Json json_of_parts(const Parts& parts) {
  Json list = Json::array();
  for (const auto& part : parts) {
    list.push_back({{"part", part.part},
                    {"parameters", part.parameters},
                    {"macs", part.layer_macs},
                    {"attention_macs", part.attention_macs}});
  }
  return list;
}

/// "KEY = VALUE" lines.
std::string lines_of(const Json& metadata);

}  // namespace diffit::jobs
