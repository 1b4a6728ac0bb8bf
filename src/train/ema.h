// Averages of the weights over training: EDM's half-life with ramp-up, and EDM2's power functions with
// post-hoc reconstruction (Karras, Aittala, Lehtinen, Hellsten, Aila, Laine 2024, section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/parameters.h"
#include "train/recipe.h"

namespace diffit {

/// beta of one step of `batch` images that ends at `images`: the average keeps beta of itself.
/// Half-life: 0.5^(batch / min(half_life, ramp_up * images)) (EDM, appendix F.2).
double half_life_beta(double images, double batch, double half_life, double ramp_up);
/// Power function of exponent gamma: (1 - batch / images)^(gamma + 1) (EDM2 section 3.1).
double power_beta(double images, double batch, double gamma);
/// gamma of a power function whose deviation is `std` of the training's length, 0 < std < 0.289 (EDM2
/// section 3.1).
double power_gamma(double std);

/// An average that training tracked: exponent and the image count at which it was kept.
struct PowerProfile {
  double gamma, images;
};
/// The weights x with which averages sum up to the one of exponent `gamma` at `images`, least squares over
/// the profiles (EDM2 section 3.2), normalised to a sum of 1. Error(invalid) where there is no average.
std::vector<double> reconstruction(std::span<const PowerProfile> tracked, const PowerProfile& wanted);
/// L2 distance of the profile that these weights sum up to from the wanted one, over the latter's norm.
double reconstruction_error(std::span<const PowerProfile> tracked, std::span<const double> weights,
                            const PowerProfile& wanted);

/// One running average of all trained parameters.
class Ema {
 public:
  /// `name`: "ema" (half-life) or "ema-0.050" (power function of that width).
  Ema(std::string name, const EmaSection& section, double power_std, const ParameterList& parameters);

  const std::string& name() const { return name_; }
  /// 0 where it is the half-life average.
  double power_std() const { return power_std_; }
  /// After the optimiser's step of `batch` images that ends at `images`.
  void update(double images, double batch);
  /// "NAME.parameter", shared with the average; in the order of the parameters.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  /// Copies the average into another model's parameters; what is not trained is copied from the training's
  /// own.
  void copy_to(const ParameterList& parameters) const;

 private:
  std::string name_;
  EmaSection section_;
  double power_std_, gamma_;
  std::vector<Parameter> all_, trained_;
  std::vector<at::Tensor> weights_, averages_;
};

/// The averages that a recipe asks for: "ema", then one for each width.
std::vector<Ema> make_emas(const EmaSection& section, const ParameterList& parameters);

}  // namespace diffit
