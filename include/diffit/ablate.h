// Experiments: variants of a model, trained under one budget with the same seeds, scored, and compared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"
#include "diffit/train.h"

namespace diffit {

struct AblateSpec {
  std::string experiment;           // name of an experiment (presets/experiments), or a TOML file
  std::string data;                 // training data instead of data.path of the base recipe
  std::string out;                  // output folder; empty: runs/EXPERIMENT
  std::string record;               // also write tables and results without weights to this folder; empty: no
  std::vector<std::string> from;    // other experiments' folders or records, whose finished runs are reused
  std::vector<std::string> set;     // "key=value": overrides of the experiment, in order
  std::vector<std::string> only;    // names of variants; empty: all. The reference is always included
  std::vector<std::int64_t> seeds;  // training seeds; empty: those of the experiment
  std::string features;             // feature network instead of score.features
  bool train_only = false;          // train, but do not score
  std::string command;              // stated on the page as what made it
};

/// Receives the events of an experiment. A training run is called "[2/18] tmsa-seed0".
class AblateMonitor : public Monitor {
 public:
  virtual void trained(const std::string& /*run*/, const TrainStep&) {}
  /// Metrics while a run is trained, if its recipe sets train.eval_images.
  virtual void evaluated(const std::string& /*run*/, const EvaluationEvent&) {}
  virtual void scored(const std::string& /*run*/, const Progress&) {}
  /// After each run that was finished by this process; the results in the folder include it.
  virtual void finished() {}
};

/// Mean over seeds, with its 95 % confidence interval if there are at least two.
struct SeedInterval {
  std::int64_t seeds = 0;
  double mean = 0;
  std::optional<std::pair<double, double>> interval;
};

struct AblateResult {
  struct Variant {
    std::string name, label, row;  // row: in the paper
    std::int64_t parameters = 0;
    double macs = 0;                         // of a forward pass of one image
    std::int64_t images = 0;                 // of each training
    double flops = 0;                        // of each training
    std::optional<SeedInterval> score;       // by the Frechet distance `score_label`; less is better
    std::optional<SeedInterval> difference;  // of the scores from the reference's, seed by seed
    std::optional<double> published;         // FID in the paper
    std::string verdict;                     // on the paper's order: "confirmed", "refuted", ...
  };
  std::string folder;
  std::string score_label;              // "FD-FashionNet"; empty without scores
  std::vector<Variant> variants;        // in the order of the experiment
  std::int64_t finished = 0, runs = 0;  // training runs: finished by whatever process, and all
  std::int64_t elsewhere = 0;           // runs that other processes are working on
  std::string json;                     // results.json
  std::string markdown;                 // table.md
};

/// Runs what is not finished: all variants with the first seed, then with the second. The folder holds the
/// run folders, results.json, table.md and page.html, and is continued by the next call. Several processes
/// may share it. Throws Error: invalid for a wrong field, experiment or folder, failed, or cancelled.
AblateResult ablate(const AblateSpec& spec, const RuntimeOptions& runtime = {});
AblateResult ablate(const AblateSpec& spec, const RuntimeOptions& runtime, AblateMonitor& monitor);

/// What an experiment would cost.
struct AblatePlan {
  struct Variant {
    std::string name;
    std::int64_t parameters = 0;
    double macs = 0;               // of a forward pass of one image
    std::int64_t images = 0;       // of a training run
    double flops = 0;              // of a training run
    double seconds_per_image = 0;  // of a training step, measured now
    double seconds = 0;            // estimate of a training run and its score
  };
  std::vector<Variant> variants;
  std::int64_t runs = 0;   // variants times seeds
  double seconds = 0;      // estimate of all, one after the other
  std::string experiment;  // in effect, as JSON
};

/// Resolves the experiment and times a few training steps of each variant; writes nothing. Throws
/// Error(invalid) for a wrong field or experiment.
AblatePlan plan_ablation(const AblateSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
