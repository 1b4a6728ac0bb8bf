// Adam and AdamW for all parameters, and the learning rate schedule over images.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "nn/layers/parameter_list.h"
#include "train/recipe.h"

namespace diffit::training {

/// Returns the learning rate of the step that starts at `images` of `all`: linear warmup, then constant, then
/// linear decay to zero over the last decay_images.
double learning_rate(const OptimiserSection& section, double images, double all);

/// Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019). Moments are float32 with the memory
/// layout of the weights. Not thread-safe.
class Optimiser {
 public:
  /// `parameters`: those to train; they share storage with the network. Weight decay applies to weights only.
  Optimiser(const OptimiserSection& section, std::vector<Parameter> parameters);

  /// Returns the L2 norm of each gradient, in their precision, those of decayed parameters first; not finite
  /// if a gradient is not.
  std::vector<float> gradient_norms() const;
  /// Scales the gradients so that their norm, which is `norm` before, is at most section.clip.
  void clip(double norm);
  /// Performs one update with the gradients stored in the parameters.
  void step(double lr);
  /// Number of updates performed.
  std::int64_t steps() const { return steps_; }
  /// Counts an update that was performed elsewhere on the tensors of parameters() and of the moments.
  void count_step() { ++steps_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// State to save in addition to steps(): "adam.m.NAME" and "adam.v.NAME". The tensors share storage with
  /// the optimizer.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  /// The moments, in the order of the parameters.
  const std::vector<at::Tensor>& first_moments() const { return first_; }
  const std::vector<at::Tensor>& second_moments() const { return second_; }
  /// Sets the step count after the tensors of state() have been overwritten in place.
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

/// Whether weight decay applies to a parameter.
bool is_decayed(const Parameter& parameter);

/// Returns the L2 norm over all gradients from their norms, in the order of Optimiser::gradient_norms().
double total_norm(const std::vector<float>& norms);

}  // namespace diffit::training
