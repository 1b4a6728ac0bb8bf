// One training step: loss, gradients, update and averages. Reads no clock, writes no files and prints
// nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dist/gradient_sum.h"
#include "train/device_step.h"
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
  bool stop = false;     // a rank was asked to stop
};

/// State of a training run, which a checkpoint stores. Step k depends only on the recipe, the data and k. It
/// is bitwise reproducible on a CPU with the same number of threads per process, because every random number
/// is keyed by (train.seed, index of the training image), and for any number of processes, because gradients
/// are added in the order of dist/shards.h. Not thread-safe.
///
/// With a group of several ranks, each rank constructs a Trainer and calls the same functions in the same
/// order. A rank keeps the moments and averages of the parameters that it owns.
class Trainer {
 public:
  /// `recipe` must be resolved against `data`. Loads the weights of train.init_from if set. dtype: dtype of
  /// matrix products and convolutions, float32 or bfloat16.
  Trainer(const Recipe& recipe, const TrainingData& data, at::Device device, at::ScalarType dtype,
          std::shared_ptr<dist::Group> group = dist::Group::alone());

  /// Performs one optimizer step with train.batch images. `stop`: this rank asks all ranks to stop, which the
  /// result of all of them tells. Throws errors of reading the data and of losing another rank.
  StepResult step(bool stop = false);

  /// Number of images used so far, including those of skipped steps.
  std::int64_t images() const { return images_; }
  /// Number of steps skipped because of a non-finite loss or gradient: in total, and since the last update.
  std::int64_t skipped_steps() const { return skipped_; }
  std::int64_t skipped_in_a_row() const { return skipped_in_a_row_; }
  /// False if an exception interrupted an update, so that weights and averages are inconsistent.
  bool whole() const { return whole_ && (!device_step_ || device_step_->whole()); }
  bool leads() const { return group_->leads(); }
  const Objective& objective() const { return *objective_; }
  const ParameterList& parameters() const { return objective_->parameters(); }
  /// Messages to be shown before the first step.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<Ema>& emas() const { return emas_; }

  /// Tensors of a checkpoint by name, as far as this rank holds them: "weights.NAME", "adam.m.NAME",
  /// "adam.v.NAME", "ema.NAME", ... They share storage with the trainer.
  std::vector<std::pair<std::string, at::Tensor>> tensors() const;
  /// All tensors of a checkpoint on the leader; an empty list on other ranks. Collective.
  std::vector<std::pair<std::string, at::Tensor>> all_tensors() const;
  /// Copies an average to the parameters of another model, on the leader. Parameters that are not trained are
  /// copied from the trained model. Collective.
  void copy_average(const Ema& ema, const ParameterList& to) const;
  /// Counters of a checkpoint.
  Json counters() const;
  /// Restores the counters after tensors() have been overwritten in place, and positions the data. Throws
  /// Error(invalid), with a message that begins with `where`, if a counter is missing or invalid.
  void restore_counters(const Json& counters, const std::string& where);

 private:
  void share_batches();
  void step_on_device(StepResult& result);
  void count_skip(bool skipped);
  double backward();
  std::vector<double> backward_by_shards();
  double backward_pass();
  void agree(const std::vector<double>& losses, StepResult& result) const;
  std::vector<at::Tensor> gathered(const std::vector<at::Tensor>& owned) const;

  Recipe recipe_;
  std::shared_ptr<dist::Group> group_;
  std::unique_ptr<Objective> objective_;
  std::vector<Parameter> trained_;
  std::vector<int> owners_;                 // of each trained parameter
  std::unique_ptr<dist::GradientSum> sum_;  // null: one process and one shard
  std::vector<std::string> notes_;
  std::unique_ptr<Optimiser> optimiser_;
  std::vector<Ema> emas_;
  std::unique_ptr<DeviceStep> device_step_;  // null: the step is made here
  std::int64_t images_ = 0, skipped_ = 0, skipped_in_a_row_ = 0;
  bool whole_ = true;
};

}  // namespace diffit::training
