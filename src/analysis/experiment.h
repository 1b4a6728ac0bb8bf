// Experiment: variants of one recipe, trained with the same seeds and the same budget. Represents
// presets/experiments/*.toml.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/diffit/structure.h"
#include "train/training_data.h"

namespace diffit::analysis {

/// Table [score]: how a trained variant is scored.
struct ScoreSection {
  std::string features = "fashion-net";  // bundled feature network, or a file with Inception weights
  std::int64_t samples = 5000;           // images sampled at the end of training
  std::int64_t curve_samples = 0;        // images sampled at each earlier snapshot; 0: no score curve
  std::int64_t steps = 18;               // of Heun's method
  std::int64_t batch = 100;
};

template <class V>
void visit_fields(V& v, ScoreSection& s) {
  v("features", s.features, "feature network: a bundled one or an Inception-v3 file");
  v("pictures", s.samples, "images sampled from each trained variant", 50, 10000000);
  v("curve_pictures", s.curve_samples, "images sampled at each earlier snapshot; 0: no curve", 0, 10000000);
  v("steps", s.steps, "steps of Heun's method", 2, 10000);
  v("batch", s.batch, "images per sampling batch", 1, 1 << 20);
}

/// Entry of [[variant]].
struct VariantSection {
  std::string name;   // name in folders and options: letters, digits, '-', '_', '.'
  std::string label;  // label of the row in the table; empty: the name
  std::string row;    // row in the paper: "H"
  /// Costs within 10% of the reference: "parameters", "flops", "both"; "": unconstrained.
  std::string comparable;
  double published = 0;          // FID in the paper; 0: none
  std::vector<std::string> set;  // "key=value", in addition to the experiment's own
};

/// Experiment file: what is trained and how it is scored.
struct Experiment {
  std::string title, source;  // what is compared, and the table of the paper
  std::string base;           // preset or recipe
  std::string reference;      // name of the reference variant; empty: the first
  std::string note;           // free text
  std::vector<std::int64_t> seeds{0, 1, 2};
  std::int64_t images = 0;       // budget of each training run in images, or
  double flops = 0;              // in FLOPs: two per multiply-add, forward and backward
  std::int64_t snapshots = 1;    // number of snapshots per training run, evenly spaced
  std::vector<std::string> set;  // changes of the base in every variant
  ScoreSection score;
  std::vector<VariantSection> variants;

  /// Index of the reference variant.
  std::size_t reference_index() const;
};

/// Reads and checks an experiment from TOML parsed to JSON. Throws Error(invalid), with a message that begins
/// with `where` and suggests the nearest key. Does not read the recipes.
Experiment read_experiment(const Json& toml, const std::string& where);
/// Inverse of read_experiment().
Json write_experiment(const Experiment& experiment);

/// Keeps the variants with these names, in the order of the experiment, and always the reference. Empty: all.
/// Throws Error(invalid) that suggests the nearest name.
void keep_variants(Experiment& experiment, const std::vector<std::string>& names);

/// A variant as it will be trained, except for the seed.
struct PlannedVariant {
  VariantSection section;
  Recipe recipe;  // resolved; train.images follows from the budget, train.seed is the first seed
  PartCost cost;
  double flops_per_image = 0;
  double parameters_ratio = 1, flops_ratio = 1;  // relative to the reference
};

/// Experiment with its data and resolved variants.
struct Plan {
  Experiment experiment;
  TrainingData data;
  std::vector<PlannedVariant> variants;  // in the order of the experiment
};

/// Opens the data and resolves every variant. Throws Error(invalid) for an unknown key, contradictory fields,
/// a variant that is not comparable as declared, or a budget below ten steps for some variant. `data`:
/// replaces the data path of the base unless empty. `dtype`: value of train.dtype "auto" on this machine.
Plan plan_experiment(const Experiment& experiment, const std::string& data, const std::string& dtype,
                     const std::string& where);

}  // namespace diffit::analysis
