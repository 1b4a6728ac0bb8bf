// Classifiers in and out of files (docs/formats.md).
#pragma once

#include "io/tensors/weights_file.h"
#include "nn/features/classifier.h"

namespace diffit::model {

/// Whether the file's metadata says that it holds a classifier.
bool holds_classifier(const WeightsFile& file);

/// With its weights, float32 on `device`. Error(invalid) lists every tensor that does not fit.
Classifier load_classifier(const WeightsFile& file, at::Device device);

/// Writes weights under the names of `parameters`, whole or not at all; `extra` is added to the metadata. A
/// weight that is not finite is Error(failed).
void save_classifier(const fs::path& path, const ParameterList& parameters, const ClassifierConfig& config,
                     const Metadata& extra);

}  // namespace diffit::model
