// An experiment: variants of one recipe, trained with the same seeds under one budget. What
// presets/experiments/*.toml holds, as data.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/cost.h"
#include "train/training_data.h"

namespace diffit {

/// The table [score]: what a trained variant is measured by.
struct ScoreSection {
  std::string features = "fashion-net";  // bundled feature network, or a file of Inception's weights
  std::int64_t pictures = 5000;          // sampled at the end of a training
  std::int64_t curve_pictures = 0;       // sampled at each snapshot before it; 0: no curve of scores
  std::int64_t steps = 18;               // of Heun's method
  std::int64_t batch = 100;
};

template <class V>
void visit_fields(V& v, ScoreSection& s) {
  v("features", s.features, "bundled feature network, or a file of Inception's weights");
  v("pictures", s.pictures, "pictures sampled of each trained variant", 50, 10000000);
  v("curve_pictures", s.curve_pictures, "pictures sampled at each earlier snapshot; 0 is no curve", 0,
    10000000);
  v("steps", s.steps, "steps of Heun's method", 2, 10000);
  v("batch", s.batch, "pictures sampled together", 1, 1 << 20);
}

/// An entry of [[variant]].
struct VariantSection {
  std::string name;        // of folders and options: letters, digits, '-', '_', '.'
  std::string label;       // of the table's row; empty is the name
  std::string row;         // the paper's: "H"
  std::string comparable;  // to the reference within 10%: "parameters", "flops", "both", "" (as it comes)
  double published = 0;    // the paper's FID; 0: it has none
  std::vector<std::string> set;  // "key=value" beside the experiment's own
};

struct Experiment {
  std::string title, source;  // what is compared, and the paper's table
  std::string base;           // preset or recipe
  std::string reference;      // name of the variant that others are compared with; empty is the first
  std::string note;           // for people
  std::vector<std::int64_t> seeds{0, 1, 2};
  std::int64_t images = 0;       // the budget of each training, or
  double flops = 0;              // multiply-adds times two, forward and backward
  std::int64_t snapshots = 1;    // of each training, at equal distances
  std::vector<std::string> set;  // changes of the base in every variant
  ScoreSection score;
  std::vector<VariantSection> variants;

  /// Of the reference.
  std::size_t reference_index() const;
};

/// Reads and checks an experiment from TOML as JSON. Error(invalid), beginning with `where`, names the
/// nearest key. Nothing of the recipes is looked at yet.
Experiment read_experiment(const Json& toml, const std::string& where);
Json write_experiment(const Experiment& experiment);

/// Leaves the variants of these names, in the experiment's order, the reference always. Error(invalid) names
/// the nearest. Empty: all.
void keep_variants(Experiment& experiment, const std::vector<std::string>& names);

/// One variant as it will be trained, but for the seed.
struct PlannedVariant {
  VariantSection section;
  Recipe recipe;  // resolved; train.images is the budget's, train.seed the first
  PartCost cost;
  double flops_per_image = 0;
  double parameters_ratio = 1, flops_ratio = 1;  // to the reference's
};

struct Plan {
  Experiment experiment;
  TrainingData data;
  std::vector<PlannedVariant> variants;  // the experiment's
};

/// Opens the data and resolves every variant. Error(invalid) where a key is unknown, fields contradict each
/// other, a row is not comparable as it says, or the budget is below ten steps of some variant. `data`: path
/// instead of the base's, empty for none. dtype: what train.dtype "auto" stands for here.
Plan plan_experiment(const Experiment& experiment, const std::string& data, const std::string& dtype,
                     const std::string& where);

}  // namespace diffit
