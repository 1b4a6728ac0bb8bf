// Known ways in which a diffusion model fails, each as a measure with a threshold and the reason for it.
#pragma once

#include <string>
#include <vector>

#include "analysis/attention_steps.h"
#include "analysis/collapse.h"
#include "io/fields.h"

namespace diffit {

/// Error at a noise level; all are mean squares a number, over the same pictures and noise.
struct LevelError {
  double sigma = 0;
  double error = 0;   // of the model
  double linear = 0;  // of the best denoiser that sees one pixel at a time and knows its mean and variance
  double share = 0, share_low = 0, share_high = 0;  // error / linear, with its 95 % interval
  double rival = 0;                                 // of the model that is compared with; 0: none
  double ratio = 0, ratio_low = 0, ratio_high = 0;  // error / rival, paired, with its 95 % interval
};

/// E of the best denoiser that is linear and sees one pixel: the mean over pixels of sigma^2 s^2 / (sigma^2 +
/// s^2), s^2 the pixel's variance over y [N, C, H, W].
std::vector<double> linear_errors(const at::Tensor& y, const std::vector<double>& sigmas);

/// errors, rival [levels, N] float64 (rival may be undefined).
std::vector<LevelError> compare_levels(const std::vector<double>& sigmas, const at::Tensor& errors,
                                       const std::vector<double>& linear, const at::Tensor& rival);

struct Signature {
  std::string name;
  double value = 0, low = 0, high = 0;  // with its 95 % interval
  double expected = 0;                  // of a sound model
  double threshold = 0;                 // raised where the interval lies beyond it
  bool raised = false;
  std::string measure = {}, reason = {};  // what the value is; why that threshold, what it hints at
};

/// Error above that of the linear denoiser at some level; error above the rival's at some level.
std::vector<Signature> signatures_of_levels(const std::vector<LevelError>& levels);
Signature signature_of_duplicates(const Share& share);
Signature signature_of_copies(const Share& share);
/// The layer whose attention moves most from one denoising step to the next, against how far it is apart
/// between pictures.
Signature signature_of_steps(const std::vector<LayerSteps>& layers);
/// The class that varies least.
Signature signature_of_diversity(const std::vector<ClassDiversity>& classes);

struct Diagnosis {
  std::string model, data, against;
  std::vector<LevelError> levels = {};
  std::vector<Signature> signatures = {};
};

Json as_json(const Diagnosis& diagnosis);
/// For people: a table of levels, a table of signatures, and a line for each that is raised.
std::string as_text(const Diagnosis& diagnosis);

}  // namespace diffit
