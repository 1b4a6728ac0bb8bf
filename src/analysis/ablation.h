// Running an experiment: each variant with each seed, in a run folder of its own, then its score.
//
//   experiment.toml, results.json, table.md, ...   what is run, and what came of it
//   reference-*.safetensors                        features of the data, computed once
//   locks/NAME-seedS                               held by the process that works on a trial
//   runs/NAME-seedS/                               a run folder (train/run_folder.h), and scores.json; of a
//                                                  trial taken over its record alone: no weights
//
// Everything is a function of the experiment and what lies there: any number of processes may share the
// folder, each takes the next trial that nobody holds, and whoever is killed is taken over from its last
// state.
#pragma once

#include <functional>

#include "analysis/experiment.h"
#include "analysis/finished_trials.h"
#include "diffit/ablate.h"
#include "train/run.h"

namespace diffit::analysis {

struct AblationRequest {
  Plan plan;
  fs::path folder;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  const FeatureNetwork* features = nullptr;  // null: train, score nothing
  std::vector<fs::path> from;                // folders or records whose finished trials are taken over
  /// Makes what evaluates a training whose recipe sets train.eval_images (TrainingRequest::evaluate).
  std::function<std::function<Json(const Exhibit&)>(const Recipe&, const TrainingData&)> evaluation = {};
};

struct AblationEnd {
  std::int64_t done = 0;       // trials that are finished, whoever did it
  std::int64_t elsewhere = 0;  // held by other processes
  std::int64_t all = 0;
  bool interrupted = false;
};

/// "NAME-seedS".
std::string trial_name(const PlannedVariant& variant, std::int64_t seed);
RunFolder trial_folder(const fs::path& folder, const PlannedVariant& variant, std::int64_t seed);

/// Runs what is not finished: all variants with the first seed, then with the second, so that a table stands
/// early. Error(invalid) where the folder holds a trial of another recipe, before anything is trained.
AblationEnd run_ablation(const AblationRequest& request, AblateMonitor& monitor);

/// Seconds of a training step of this variant here and now, from a few after one to warm up.
double seconds_per_image(const PlannedVariant& variant, const TrainingData& data, at::Device device,
                         at::ScalarType dtype);

}  // namespace diffit::analysis
