// What `diffit info` tells of a feature network.
#pragma once

#include "io/tensors/weights_file.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

/// Reads every weight. Error(invalid) where they do not fit.
void describe_feature_network(const WeightsFile& file, const CommonOptions& common);

}  // namespace diffit::cli
