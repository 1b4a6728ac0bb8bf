// diffit::robustness() (diffit/robustness.h) for callers that print its result.
#pragma once

#include "analysis/robustness.h"
#include "diffit/robustness.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct Robustness {
  std::string model;
  bool latent = false;
  RobustnessRequest request;
  std::vector<SetScores> sets;  // the first is the one that the others are compared with

  /// What `diffit eval --robustness --json` prints.
  Json json() const;
};

/// As diffit::robustness().
Robustness run_robustness(const RobustnessSpec& spec, const RuntimeOptions& options, Monitor& monitor);

}  // namespace diffit::jobs
