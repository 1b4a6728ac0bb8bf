// The options of `diffit sample`.
#pragma once

#include "diffit/sample.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

void add_sample_options(CLI::App& command, SampleSpec& options);

}  // namespace diffit::cli
