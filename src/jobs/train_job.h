// The parts of diffit::train() (diffit/train.h), for callers that look at the plan before they train.
#pragma once

#include "data/description.h"
#include "diffit/train.h"
#include "dist/group.h"
#include "runtime/runtime.h"
#include "train/recipe.h"
#include "train/training_data.h"

namespace diffit::jobs {

/// A training whose configuration and data have been read and checked against each other.
struct PreparedTraining {
  Recipe recipe;      // resolved: complete
  std::string where;  // the file of the configuration, for errors
  TrainingData data;
  Runtime runtime;
  fs::path folder;
  std::shared_ptr<dist::Group> group = dist::Group::alone();

  /// Of the images that are trained on; null for latents.
  const DataDescription* description() const;
};

/// Reads everything and writes nothing. `will_write`: also checks that the run folder can be written.
PreparedTraining prepare_training(const TrainSpec& spec, const RuntimeOptions& options, bool will_write,
                                  Monitor& monitor);

/// Trains what was prepared for `spec`. Throws as diffit::train() does.
TrainResult run_prepared(const TrainSpec& spec, const PreparedTraining& prepared, TrainMonitor& monitor);

}  // namespace diffit::jobs
