// `diffit eval --robustness`: a model on inputs it was not trained on.
#pragma once

#include "diffit/robustness.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

/// Adds --robustness and what belongs to it to `eval`.
void add_robustness_options(CLI::App& eval, RobustnessSpec& spec);

/// Measures and prints.
void print_robustness(RobustnessSpec spec, const CommonOptions& common);

}  // namespace diffit::cli
