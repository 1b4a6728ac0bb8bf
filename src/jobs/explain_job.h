// diffit::explain() (diffit/explain.h) for callers that print its result.
#pragma once

#include "diffit/explain.h"
#include "report/time_page.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct Explanation : TimeExplanation {
  std::string time;  // where time enters the network: "tmsa"

  /// What `diffit explain --json` prints.
  Json json() const;
};

/// As diffit::explain().
Explanation run_explain(const ExplainSpec& spec, const RuntimeOptions& options, Monitor& monitor);

}  // namespace diffit::jobs
