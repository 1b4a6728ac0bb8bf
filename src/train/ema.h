// Averages of the weights over training: EDM's half-life EMA with ramp-up, and EDM2's power-function EMA with
// post-hoc reconstruction (Karras, Aittala, Lehtinen, Hellsten, Aila, Laine 2024, section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/layers/parameter_list.h"
#include "train/recipe.h"

namespace diffit::training {

/// Decay factor of the half-life EMA for one step of `batch` images that ends at `images`: 0.5^(batch /
/// min(half_life, ramp_up * images)) (EDM, appendix F.2). half_life is in images.
double half_life_beta(double images, double batch, double half_life, double ramp_up);
/// Decay factor of the power-function EMA with exponent gamma: (1 - batch / images)^(gamma + 1) (EDM2 section
/// 3.1).
double power_beta(double images, double batch, double gamma);
/// Returns gamma for a power function whose standard deviation is `std` relative to the length of training
/// (EDM2 section 3.1). Throws Error(invalid) unless 0 < std < 0.288.
double power_gamma(double std);

/// An average tracked during training: its exponent and the number of images at which it was saved.
struct PowerProfile {
  double gamma, images;
};
/// Returns weights x for a linear combination of the tracked averages that approximates the average with
/// exponent `gamma` at `images`, by least squares over the profiles (EDM2 section 3.2), normalized to a sum
/// of 1. Throws Error(invalid) if there are no averages.
std::vector<double> reconstruction(std::span<const PowerProfile> tracked, const PowerProfile& wanted);
/// L2 distance between the profile given by these weights and the wanted one, relative to the norm of the
/// latter.
double reconstruction_error(std::span<const PowerProfile> tracked, std::span<const double> weights,
                            const PowerProfile& wanted);

/// One running average of all trained parameters.
class Ema {
 public:
  /// `name`: "ema" (half-life) or "ema-0.050" (power function of that width).
  /// `averaged`: the trained parameters that are averaged here; another process may average others.
  Ema(std::string name, const EmaSection& section, double power_std, std::vector<Parameter> averaged);

  const std::string& name() const { return name_; }
  /// Width of the power function; 0 for the half-life EMA.
  double power_std() const { return power_std_; }
  /// Weight of the old average in the update after the optimizer step of `batch` images that ends at
  /// `images`.
  double beta(double images, double batch) const;
  /// Updates the average after the optimizer step of `batch` images that ends at `images`.
  void update(double images, double batch);
  /// Returns pairs ("NAME.parameter", tensor), in the order of the parameters. The tensors share storage with
  /// the average.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  /// The averages, in the order of the parameters.
  const std::vector<at::Tensor>& averages() const { return averages_; }

 private:
  std::string name_;
  EmaSection section_;
  double power_std_, gamma_;
  std::vector<Parameter> trained_;
  std::vector<at::Tensor> weights_, averages_;
};

/// Returns the averages configured in a recipe: "ema", then one for each width.
std::vector<Ema> make_emas(const EmaSection& section, const std::vector<Parameter>& averaged);

}  // namespace diffit::training
