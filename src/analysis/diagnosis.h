// Known failure modes of diffusion models, each with a measure, a threshold and the reason for it.
#pragma once

#include <string>
#include <vector>

#include "analysis/attention_steps.h"
#include "analysis/collapse.h"
#include "config/fields.h"

namespace diffit::analysis {

/// Error at a noise level. All errors are mean squares per element, over the same images and noise.
struct LevelError {
  double sigma = 0;
  double error = 0;   // error of the model
  double linear = 0;  // error of the best linear denoiser per pixel, see linear_errors()
  double share = 0, share_low = 0, share_high = 0;  // error / linear, with its 95 % confidence interval
  double rival = 0;                                 // error of the model for comparison; 0: none
  /// error / rival, paired, with its 95 % confidence interval.
  double ratio = 0, ratio_low = 0, ratio_high = 0;
};

/// Error of the best linear per-pixel denoiser: the mean over pixels of sigma^2 s^2 / (sigma^2 + s^2), where
/// s^2 is the variance of the pixel over y [N, C, H, W].
std::vector<double> linear_errors(const at::Tensor& y, const std::vector<double>& sigmas);

/// errors, rival [levels, N] float64 (rival may be undefined).
std::vector<LevelError> compare_levels(const std::vector<double>& sigmas, const at::Tensor& errors,
                                       const std::vector<double>& linear, const at::Tensor& rival);

/// A finding: the measure of one known failure mode.
struct Signature {
  std::string name;
  double value = 0, low = 0, high = 0;  // with its 95 % confidence interval
  double expected = 0;                  // value for a sound model
  double threshold = 0;                 // raised if the interval is entirely beyond it
  bool raised = false;
  std::string measure = {}, reason = {};  // what the value is; reason for the threshold and what it indicates
};

/// Error above that of the linear denoiser at some level, and error above the rival's at some level.
std::vector<Signature> signatures_of_levels(const std::vector<LevelError>& levels);
/// The fraction of near duplicates or copies, raised above five times the expected fraction.
Signature signature_of_duplicates(const Share& share);
Signature signature_of_copies(const Share& share);
/// The layer whose attention changes most between denoising steps, relative to its variation between images.
Signature signature_of_steps(const std::vector<LayerSteps>& layers);
/// The class with the lowest diversity.
Signature signature_of_diversity(const std::vector<ClassDiversity>& classes);

/// Result of `diffit diagnose`: the model, the data, the reference, and all measures.
struct Diagnosis {
  std::string model, data, against;
  std::vector<LevelError> levels = {};
  std::vector<Signature> signatures = {};
};

/// Result as a JSON object, for --json.
Json as_json(const Diagnosis& diagnosis);
/// Readable text: a table of levels, a table of signatures, and a line for each signature that is raised.
std::string as_text(const Diagnosis& diagnosis);

}  // namespace diffit::analysis
