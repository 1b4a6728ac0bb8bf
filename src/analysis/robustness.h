// Evaluation of a model on inputs on which it was not trained: denoising error and likelihood bound for sets
// of images.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "analysis/corruption.h"
#include "config/fields.h"
#include "diffusion/sampler.h"

namespace diffit::analysis {

/// Noise levels, seed and batch size of the evaluation.
struct RobustnessRequest {
  std::vector<double> sigmas;             // noise levels for the denoising error
  std::vector<double> likelihood_sigmas;  // increasing; empty: no likelihood bound
  /// True: inputs have 256 levels (images), use bits_a_number(). False: latents, use the density alone.
  bool levels = true;
  std::uint64_t seed = 0;
  std::int64_t batch = 32;
};

/// Scores of a set of N inputs.
struct SetScores {
  std::string name;
  at::Tensor errors;  // [levels, N] float64, see noise_errors()
  at::Tensor bits;    // [N] float64, bits per element; undefined if not requested

  std::int64_t size() const { return errors.size(1); }
};

/// Called with the fraction of the set that is done, 0 to 1. May throw to cancel.
using ScoreProgress = std::function<void(double share)>;

/// Scores y [N, C, H, W] float32, the inputs in the range of the model. Throws Error(failed) if a result is
/// not finite.
SetScores score_set(const Denoiser& denoise, const std::string& name, const at::Tensor& y,
                    const RobustnessRequest& request, const ScoreProgress& progress = {});

/// Mean with its 95 % confidence interval, from the standard deviation of independent values [N].
struct MeanInterval {
  double mean = 0, low = 0, high = 0;
};
MeanInterval mean_interval(const at::Tensor& values);

/// Probability that a value of `other` exceeds one of `held_out`, counting ties as one half: 0.5 if the sets
/// are indistinguishable, 1 if all values of `other` are higher. Both are [N] float64.
double separation(const at::Tensor& held_out, const at::Tensor& other);

/// Returns {"sigmas": [..], "sets": [{"name", "images", "error": [{"sigma", "mean", "low", "high"}],
/// "bits": {"mean", "low", "high"}, "separation"}]}. The first set is the reference for the others.
Json robustness_json(const RobustnessRequest& request, const std::vector<SetScores>& sets);

}  // namespace diffit::analysis
