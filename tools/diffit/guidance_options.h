// --guidance and related options of `sample` and `denoise`.
#pragma once

#include "jobs/guidance_spec.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

/// The help names `usual_tolerance` as the default.
void add_guidance_options(CLI::App& command, GuidanceSpec& options, double usual_tolerance);

}  // namespace diffit::cli
