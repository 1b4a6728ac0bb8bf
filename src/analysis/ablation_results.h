// What came of an experiment, read from its folder: curves, scores, costs, and what may be said of the order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/ablation.h"

namespace diffit::analysis {

/// One training. Figures that there are not yet are empty.
struct TrialResult {
  std::int64_t seed = 0;
  std::int64_t images = 0;                      // trained so far
  bool finished = false;                        // trained to its end, and scored where scores were asked for
  std::vector<std::pair<double, double>> loss;  // (images, mean since the one before)
  std::optional<double> late_loss;  // mean over the last fifth; trials of one seed saw the same noise
  std::vector<Score> scores;        // by images; the last is the final one where finished
  double images_per_second = 0;     // of its fastest stretch between two lines of stats
  double memory_bytes = 0;          // resident, largest
  double seconds = 0;               // of training
  fs::path samples;                 // the grid of images at its end; empty where there is none

  std::optional<double> final_score() const;
};

/// Mean over seeds with a 95% interval by Student's t; without low and high where there is one seed.
struct SeedMean {
  std::int64_t seeds = 0;
  double mean = 0;
  std::optional<double> low, high;
};
SeedMean mean_over_seeds(const std::vector<double>& values);

/// What the trainings say of a row against the reference, beside what the paper says.
enum class Verdict {
  open,       // fewer than two seeds, or the paper has no figure
  confirmed,  // the paper's sign, and the interval of the difference excludes zero
  refuted,    // the other sign, and it does too
  noise,      // the interval holds zero
};
std::string to_text(Verdict verdict);

struct VariantResult {
  VariantSection section;
  std::vector<TrialResult> trials;  // of the experiment's seeds, in order
  std::int64_t parameters = 0;
  double macs = 0;  // a forward of one image, attention's own products included
  double parameters_ratio = 1, flops_ratio = 1;
  std::int64_t images = 0;  // of each training
  double flops = 0;
  std::optional<SeedMean> score, late_loss;
  /// Score minus the reference's, seed by seed; and of the late loss.
  std::optional<SeedMean> score_difference, loss_difference;
  Verdict verdict = Verdict::open;
  double images_per_second = 0, memory_bytes = 0;  // means over trials
};

struct AblationResults {
  Experiment experiment;
  std::string score_label;  // "FD-FashionNet"; empty without scores
  std::vector<VariantResult> variants;
  std::int64_t finished = 0, trials = 0;
};

/// Reads the folder of an experiment, whatever is finished. `features`: whose scores are taken; null: none.
AblationResults collect(const Plan& plan, const fs::path& folder, const FeatureInfo* features);

Json to_json(const AblationResults& results);

}  // namespace diffit::analysis
