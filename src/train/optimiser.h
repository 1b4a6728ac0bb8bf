// Adam and AdamW over all parameters at once, and the learning rate over images.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "nn/parameters.h"
#include "train/recipe.h"

namespace diffit {

/// The rate for the step that begins at `images` of `all`: linear warm-up, then constant, then a fall to zero
/// over the last decay_images.
double learning_rate(const OptimiserSection& section, double images, double all);

/// Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019). Moments are float32, laid out as the
/// weights.
class Optimiser {
 public:
  Optimiser(const OptimiserSection& section, std::vector<Parameter> parameters);

  /// The L2 norm of all gradients together, in the gradients' precision; not finite where one is not.
  double gradient_norm() const;
  /// Multiplies the gradients so that a norm of `norm` becomes at most section.clip.
  void clip(double norm);
  /// One update with the gradients that lie in the parameters.
  void step(double lr);
  /// Forgets the gradients, and their memory.
  void clear_gradients();

  std::int64_t steps() const { return steps_; }
  /// What must be saved beside steps(): "adam.m.NAME" and "adam.v.NAME". Shared with the optimiser.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  /// After state()'s tensors were overwritten in place.
  void restore_steps(std::int64_t steps);

 private:
  struct Group {
    std::vector<at::Tensor> weights, first, second, steps;
    double weight_decay = 0;
  };
  std::vector<at::Tensor> gradients(const Group& group) const;

  OptimiserSection section_;
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> first_, second_;
  std::vector<Group> groups_;
  std::int64_t steps_ = 0;
};

}  // namespace diffit
