// What a training step computes: loss, gradients, update, averages. It reads no clock, writes no file, prints
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

namespace diffit {

struct StepResult {
  double loss = 0;           // mean over the batch; as it is, also where it is not finite
  double gradient_norm = 0;  // before clipping
  double lr = 0;
  bool skipped = false;  // a loss or gradient was not finite: nothing was changed
};

/// The whole state of a training. Step k is a function of the recipe, the data and k alone, bit for bit with
/// the same number of threads on a CPU: every random number is keyed by (train.seed, running number of the
/// image).
class Trainer {
 public:
  /// `recipe` was resolved against `data`; the weights are those of train.init_from where that is set. dtype:
  /// of matrix products and convolutions, float32 or bfloat16.
  Trainer(const Recipe& recipe, const TrainingData& data, at::Device device, at::ScalarType dtype);

  /// One optimiser step of train.batch images. Throws what reading the data throws.
  StepResult step();

  /// Images shown so far, those of skipped steps included.
  std::int64_t images() const { return images_; }
  std::int64_t skipped_steps() const { return skipped_; }
  std::int64_t skipped_in_a_row() const { return skipped_in_a_row_; }
  const Objective& objective() const { return *objective_; }
  const ParameterList& parameters() const { return objective_->parameters(); }
  /// What is to be said before the first step.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<Ema>& emas() const { return emas_; }

  /// Every tensor that the state consists of, by name: "weights.NAME", "adam.m.NAME", "adam.v.NAME",
  /// "ema.NAME", ...
  std::vector<std::pair<std::string, at::Tensor>> tensors() const;
  /// The numbers of the state.
  Json counters() const;
  /// After tensors() were overwritten in place: sets the counters, and the data to the next image.
  void restore_counters(const Json& counters, const std::string& where);

 private:
  Recipe recipe_;
  std::unique_ptr<Objective> objective_;
  std::vector<std::string> notes_;
  std::unique_ptr<Optimiser> optimiser_;
  std::vector<Ema> emas_;
  std::int64_t images_ = 0, skipped_ = 0, skipped_in_a_row_ = 0;
};

}  // namespace diffit
