// --guidance and what goes with it, as `sample` and `denoise` take them.
#pragma once

#include "diffusion/guidance.h"
#include "tools/diffit/command.h"

namespace diffit {

struct GuidanceOptions {
  double scale = 1;
  std::string schedule = "constant", channels, interval;
};

void add_guidance_options(CLI::App& command, GuidanceOptions& options);

/// The options as the library takes them. `released_latent`: channels open means the released 3 of 4.
Guidance parse_guidance(const GuidanceOptions& options, bool latent);

}  // namespace diffit
