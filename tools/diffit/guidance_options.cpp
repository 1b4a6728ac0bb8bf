#include "tools/diffit/guidance_options.h"

namespace diffit::cli {

void add_guidance_options(CLI::App& command, GuidanceSpec& options, double usual_tolerance) {
  command.add_option("--guidance", options.scale, "guidance scale; 1 (default): no guidance");
  command.add_option("--guidance-schedule", options.schedule,
                     "guidance scale over time: constant (default), or power-cosine[:POWER] over the "
                     "timesteps of latent models (the released code uses power 4)");
  command.add_option(
      "--guidance-channels", options.channels,
      "number of guided channels, or all; default 3 for latent models (as in the released code), else all");
  command.add_option("--guidance-interval", options.interval,
                     "guide only where LO < sigma <= HI (LO,HI), LO <= t <= HI (t:LO,HI, latent models), or "
                     "between the fractions LO and HI of the steps (step:LO,HI)");
  command.add_option("--guidance-tolerance", options.tolerance,
                     fmt::format("skip the unconditional evaluation where the guidance scale is within this "
                                 "distance of 1; default {}",
                                 usual_tolerance));
}

}  // namespace diffit::cli
