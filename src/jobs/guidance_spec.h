// GuidanceSpec as the library computes with it.
#pragma once

#include "config/fields.h"
#include "diffit/sample.h"
#include "diffusion/guidance.h"

namespace diffit::jobs {

/// Values of fields that are not set.
struct GuidanceDefaults {
  std::int64_t channels = 0;  // 0: all; released latent models: 3
  double tolerance = 0;
};

/// Throws Error(invalid) that names the field.
Guidance parse_guidance(const GuidanceSpec& spec, const GuidanceDefaults& defaults);

/// As JSON, with keys named like the options of the command line. Empty without guidance.
Json describe(const Guidance& guidance);

}  // namespace diffit::jobs
