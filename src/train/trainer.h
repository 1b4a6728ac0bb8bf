// One training step: loss, gradients, update and averages. Reads no clock, writes no files and prints
// nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "train/ema.h"
#include "train/objective.h"
#include "train/optimiser.h"
#include "train/recipe.h"

namespace diffit::training {

/// Result of one training step.
struct StepResult {
  double loss = 0;           // mean over the batch; reported even if it is not finite
  double gradient_norm = 0;  // before clipping
  double lr = 0;
  bool skipped = false;  // the loss or a gradient was not finite, so nothing was updated
};

/// State of a training run, which a checkpoint stores. Step k depends only on the recipe, the data and k. It
/// is bitwise reproducible on a CPU with the same number of threads, because every random number is keyed by
/// (train.seed, index of the training image). Not thread-safe.
class Trainer {
 public:
  /// `recipe` must be resolved against `data`. Loads the weights of train.init_from if set. dtype: dtype of
  /// matrix products and convolutions, float32 or bfloat16.
  Trainer(const Recipe& recipe, const TrainingData& data, at::Device device, at::ScalarType dtype);

  /// Performs one optimizer step with train.batch images. Throws errors of reading the data.
  StepResult step();

  /// Number of images used so far, including those of skipped steps.
  std::int64_t images() const { return images_; }
  /// Number of steps skipped because of a non-finite loss or gradient: in total, and since the last update.
  std::int64_t skipped_steps() const { return skipped_; }
  std::int64_t skipped_in_a_row() const { return skipped_in_a_row_; }
  /// False if an exception interrupted an update, so that weights and averages are inconsistent.
  bool whole() const { return whole_; }
  const Objective& objective() const { return *objective_; }
  const ParameterList& parameters() const { return objective_->parameters(); }
  /// Messages to be shown before the first step.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<Ema>& emas() const { return emas_; }

  /// All tensors of a checkpoint by name: "weights.NAME", "adam.m.NAME", "adam.v.NAME", "ema.NAME", ... They
  /// share storage with the trainer.
  std::vector<std::pair<std::string, at::Tensor>> tensors() const;
  /// Counters of a checkpoint.
  Json counters() const;
  /// Restores the counters after tensors() have been overwritten in place, and positions the data. Throws
  /// Error(invalid), with a message that begins with `where`, if a counter is missing or invalid.
  void restore_counters(const Json& counters, const std::string& where);

 private:
  Recipe recipe_;
  std::unique_ptr<Objective> objective_;
  std::vector<std::string> notes_;
  std::unique_ptr<Optimiser> optimiser_;
  std::vector<Ema> emas_;
  std::int64_t images_ = 0, skipped_ = 0, skipped_in_a_row_ = 0;
  bool whole_ = true;
};

}  // namespace diffit::training
