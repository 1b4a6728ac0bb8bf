// Evaluation: metrics of samples against a reference.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct EvaluateSpec {
  std::string samples;    // images (npz with arr_0, zip, folder) or a file of statistics (mu, sigma)
  std::string reference;  // the same; a file of statistics saves measuring the reference each time
  std::string features;   // feature network: a file of Inception-v3, or the name of a bundled network
  std::vector<std::string> metrics;  // fid, sfid, is, precision, recall, kid; empty: all that are possible
  std::int64_t limit = 0;            // only the first so many samples; 0: all
  std::int64_t batch = 0;            // images at a time; 0: by their size
  std::int64_t bootstrap = 1000;     // resamples behind an interval; 0: no intervals
  double confidence = 0.95;          // of the intervals
  bool half = false;                 // precision and recall from float16 distances, like ADM's evaluator
  bool extrapolate = false;          // also extrapolate the Frechet distance to infinitely many samples
  std::int64_t seed = 0;             // of resamples, subsets and noise
};

struct MetricValue {
  std::string name;   // key in the JSON output: "fid"
  std::string label;  // for people: "FID"
  double value = 0;
  std::optional<std::pair<double, double>> interval;  // what other samples of the same number would give
  std::int64_t samples = 0, reference = 0;            // numbers of images; 0: unknown
};

struct EvaluateResult {
  std::vector<MetricValue> metrics;
  std::string json;  // everything that `diffit eval --json` prints
  std::vector<std::string> warnings;
};

/// Measures samples and reference with the feature network and computes the metrics. Progress is reported in
/// images. Throws Error: invalid for a wrong field or file, failed, or cancelled.
EvaluateResult evaluate(const EvaluateSpec& spec, const RuntimeOptions& runtime = {});
EvaluateResult evaluate(const EvaluateSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
