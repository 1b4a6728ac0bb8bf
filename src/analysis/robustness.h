// A model on inputs it was not trained on: denoising error and likelihood bound of sets of pictures.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "analysis/corruption.h"
#include "diffusion/sampler.h"
#include "io/fields.h"

namespace diffit {

struct RobustnessRequest {
  std::vector<double> sigmas;             // noise levels of the error
  std::vector<double> likelihood_sigmas;  // rising; empty: no bound
  bool levels = true;  // inputs have 256 levels (pictures): bits_a_number(); else (latents) the density alone
  std::uint64_t seed = 0;
  std::int64_t batch = 32;
};

/// What a model makes of a set of N inputs.
struct SetScores {
  std::string name;
  at::Tensor errors;  // [levels, N] float64, noise_errors()
  at::Tensor bits;    // [N] float64, bits a number; undefined where it was not asked for

  std::int64_t size() const { return errors.size(1); }
};

/// Called with the share of a set that is done, 0 to 1. May throw to stop.
using ScoreProgress = std::function<void(double share)>;

/// y [N, C, H, W] float32: the inputs as the model sees them.
SetScores score_set(const Denoiser& denoise, const std::string& name, const at::Tensor& y,
                    const RobustnessRequest& request, const ScoreProgress& progress = {});

/// A mean with the ends of its 95 % interval, from the deviation over independent values [N].
struct MeanInterval {
  double mean = 0, low = 0, high = 0;
};
MeanInterval mean_interval(const at::Tensor& values);

/// The probability that a value of `other` is above one of `held_out`, ties counting half: 0.5 where the two
/// sets cannot be told apart, 1 where all of other's are higher. Both [N], float64.
double separation(const at::Tensor& held_out, const at::Tensor& other);

/// {"sigmas": [..], "sets": [{"name", "pictures", "error": [{"sigma", "mean", "low", "high"}], "bits":
/// {"mean", "low", "high"}, "separation"}]}; the first set is the one that the others are held against.
Json robustness_json(const RobustnessRequest& request, const std::vector<SetScores>& sets);

}  // namespace diffit
