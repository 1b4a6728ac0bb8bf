// The models that the server offers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/class_names.h"
#include "server/http.h"

namespace diffit::server {

struct ServedModel {
  std::string name;  // in requests: of a bundled model, or of the file without its extension
  std::string path;  // what SampleSpec::model takes
  bool latent = false;
  std::int64_t resolution = 0;  // of the images; 0: not known before they are made
  std::int64_t channels = 0, classes = 0;
  std::optional<ClassNames> names;

  /// The name of a label, or its number as text.
  std::string class_name(std::int64_t label) const;
};

/// What a file, or a bundled model of that name, states of its model; nothing if it holds another kind of
/// network. Throws Error(invalid) for a file that cannot be read.
std::optional<ServedModel> read_model(const std::string& given);

class Models {
 public:
  /// `given`: files or names of bundled models; empty: all bundled models that can be sampled. Throws
  /// Error(invalid) for a file that holds no diffusion model, and for two of one name.
  explicit Models(const std::vector<std::string>& given);

  const std::vector<ServedModel>& all() const { return models_; }
  /// The model of that name, the first for "". Throws HttpError 400 with the field `model`.
  const ServedModel& find(const std::string& name) const;
  bool has(const std::string& name) const;

 private:
  std::vector<ServedModel> models_;
};

/// Labels of a text such as "sneaker, 3": names or numbers of classes with commas between them, or a whole
/// name that contains commas. Throws HttpError 400 with `field`.
std::vector<std::int64_t> labels_of(const ServedModel& model, const std::string& text,
                                    const std::string& field);

}  // namespace diffit::server
