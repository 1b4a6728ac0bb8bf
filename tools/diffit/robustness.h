// `diffit eval --robustness`: a model on inputs it was not trained on.
#pragma once

#include <string>
#include <vector>

#include "tools/diffit/command.h"

namespace diffit::cli {

struct RobustnessOptions {
  std::vector<std::string> sets;  // DATA...
  std::string model, vae, held_out, corruptions = "all", out;
  std::int64_t images = 128, levels = 9, likelihood_steps = 20, seed = 0;
};

/// Adds --robustness and what belongs to it to `eval`.
void add_robustness_options(CLI::App& eval, RobustnessOptions& options);

/// Measures and prints. Error(invalid) where a set does not fit the model.
void run_robustness(const RobustnessOptions& options, const CommonOptions& common);

}  // namespace diffit::cli
