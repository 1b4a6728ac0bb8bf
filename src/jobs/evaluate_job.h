// The parts of diffit::evaluate() (diffit/evaluate.h), for callers that print them.
#pragma once

#include <string>
#include <vector>

#include "diffit/evaluate.h"
#include "jobs/feature_side.h"
#include "metrics/evaluate.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct Evaluation {
  FeatureInfo network;
  std::unique_ptr<FeatureSide> samples, reference;
  std::vector<MetricResult> metrics;
  std::vector<std::string> notes;  // warnings that are not about one metric
  double confidence = 0.95;

  /// What `diffit eval --json` prints.
  Json json() const;
};

/// As diffit::evaluate().
Evaluation run_evaluation(const EvaluateSpec& spec, const RuntimeOptions& options, Monitor& monitor);

}  // namespace diffit::jobs
