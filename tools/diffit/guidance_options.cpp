#include "tools/diffit/guidance_options.h"

namespace diffit::cli {

void add_guidance_options(CLI::App& command, GuidanceSpec& options, double usual_tolerance) {
  command.add_option("--guidance", options.scale, "scale of guidance; 1, the default, is none");
  command.add_option("--guidance-schedule", options.schedule,
                     "constant (default), or power-cosine[:POWER] over latent models' timesteps (power 4 as "
                     "released)");
  command.add_option("--guidance-channels", options.channels,
                     "all, or how many channels are guided; default 3 for latent models (as released), else "
                     "all");
  command.add_option("--guidance-interval", options.interval,
                     "guide only where LO < sigma <= HI (LO,HI), LO <= t <= HI (t:LO,HI, latent models), or "
                     "from share LO of the steps to share HI (step:LO,HI)");
  command.add_option("--guidance-tolerance", options.tolerance,
                     fmt::format("where the scale is this near to 1 the unconditional half is not computed; "
                                 "default {}",
                                 usual_tolerance));
}

}  // namespace diffit::cli
