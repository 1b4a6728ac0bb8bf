#include "tools/diffit/guidance_options.h"

#include "base/error.h"
#include "base/text.h"

namespace diffit {

void add_guidance_options(CLI::App& command, GuidanceOptions& options) {
  command.add_option("--guidance", options.scale, "scale of classifier-free guidance; 1 is none")
      ->capture_default_str();
  command
      .add_option("--guidance-schedule", options.schedule,
                  "constant, or power-cosine[:POWER] over latent models' timesteps (power 4 as released)")
      ->capture_default_str();
  command.add_option(
      "--guidance-channels", options.channels,
      "all, or how many channels are guided; default 3 for latent models (as released), else all");
  command.add_option("--guidance-interval", options.interval, "LO,HI: guide only where LO < sigma <= HI");
}

Guidance parse_guidance(const GuidanceOptions& options, bool latent) {
  Guidance g;
  g.scale = options.scale;
  DIFFIT_CHECK(std::isfinite(g.scale) && g.scale >= 0, "--guidance: wanted a number of at least 0, got {}",
               g.scale);
  const std::vector<std::string> schedule = split(options.schedule, ':');
  if (schedule[0] == "power-cosine" && schedule.size() <= 2) {
    g.power_cosine = true;
    if (schedule.size() == 2) g.power = parse_double(schedule[1], "--guidance-schedule power-cosine:POWER");
    DIFFIT_CHECK(g.power > 0, "--guidance-schedule: wanted a power above 0, got {}", g.power);
  } else {
    DIFFIT_CHECK(options.schedule == "constant",
                 "--guidance-schedule: wanted constant or power-cosine[:POWER], got '{}'", options.schedule);
  }
  if (options.channels.empty()) {
    g.channels = latent ? 3 : 0;
  } else if (options.channels != "all") {
    g.channels = parse_int(options.channels, "--guidance-channels (all or a count)");
    DIFFIT_CHECK(g.channels >= 1, "--guidance-channels: wanted all or at least 1, got {}", g.channels);
  }
  if (!options.interval.empty()) {
    const std::vector<std::string> ends = split(options.interval, ',');
    DIFFIT_CHECK(ends.size() == 2, "--guidance-interval: wanted LO,HI, got '{}'", options.interval);
    g.low = parse_double(ends[0], "--guidance-interval LO");
    g.high = parse_double(ends[1], "--guidance-interval HI");
    DIFFIT_CHECK(g.low < g.high, "--guidance-interval: wanted LO < HI, got {} and {}", g.low, g.high);
  }
  return g;
}

}  // namespace diffit
