// --features, --limit and --batch of commands that measure images.
#pragma once

#include "jobs/feature_side.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

/// Adds them; `what` names the images. Returns --features.
CLI::Option* add_measure_options(CLI::App& command, const std::string& what, std::string& features,
                                 std::int64_t& limit, std::int64_t& batch);

}  // namespace diffit::cli
