// --guidance and what goes with it, as `sample` and `denoise` take them.
#pragma once

#include <optional>

#include "diffusion/guidance.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

/// As typed; what was not typed is open.
struct GuidanceOptions {
  std::optional<double> scale, tolerance;
  std::optional<std::string> schedule, channels, interval;
};

/// `usual_tolerance` is said in the help.
void add_guidance_options(CLI::App& command, GuidanceOptions& options, double usual_tolerance);

/// What the options mean where they are open.
struct GuidanceDefaults {
  std::int64_t channels = 0;  // 0: all; the released latent models: 3
  double tolerance = 0;
};

/// The options as the library takes them; Error(invalid) names the option.
Guidance parse_guidance(const GuidanceOptions& options, const GuidanceDefaults& defaults);

/// For --json and for what is stored with images: keys named as the options. Empty without guidance.
Json describe(const Guidance& guidance);

}  // namespace diffit::cli
