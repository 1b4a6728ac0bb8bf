#include "diffusion/parameterisation.h"

#include <cmath>

namespace diffit::diffusion {

namespace {

// The formulas are written once for numbers and for tensors.
double squared(double x) {
  return x * x;
}
at::Tensor squared(const at::Tensor& x) {
  return x.square();
}
double root(double x) {
  return std::sqrt(x);
}
at::Tensor root(const at::Tensor& x) {
  return x.sqrt();
}
double constant(double value, double /*like*/) {
  return value;
}
at::Tensor constant(double value, const at::Tensor& like) {
  return at::full_like(like, value);
}

template <class T>
T skip(const Parameterisation& p, const T& sigma) {
  switch (p.prediction) {
    case Prediction::x0:
      return constant(0, sigma);
    case Prediction::eps:
      return constant(1, sigma);
    case Prediction::v:
      return 1 / (squared(sigma) + 1);
    case Prediction::velocity:
      return 1 / (sigma + 1);
    case Prediction::automatic:  // resolved by parameterisation_of()
    case Prediction::edm:
      break;
  }
  return p.sigma_data * p.sigma_data / (squared(sigma) + p.sigma_data * p.sigma_data);
}

template <class T>
T out(const Parameterisation& p, const T& sigma) {
  switch (p.prediction) {
    case Prediction::x0:
      return constant(1, sigma);
    case Prediction::eps:
      if (p.schedule == Schedule::ve) return sigma;
      return -sigma;
    case Prediction::v:
      return -sigma / root(squared(sigma) + 1);
    case Prediction::velocity:
      return -sigma / (sigma + 1);
    case Prediction::automatic:  // resolved by parameterisation_of()
    case Prediction::edm:
      break;
  }
  return sigma * p.sigma_data / root(squared(sigma) + p.sigma_data * p.sigma_data);
}

}  // namespace

at::Tensor Parameterisation::c_skip(const at::Tensor& sigma) const {
  return skip(*this, sigma);
}
at::Tensor Parameterisation::c_out(const at::Tensor& sigma) const {
  return out(*this, sigma);
}
at::Tensor Parameterisation::c_in(const at::Tensor& sigma) const {
  return diffusion::c_in(schedule, sigma_data, sigma);
}
at::Tensor Parameterisation::c_noise(const at::Tensor& sigma) const {
  return diffusion::c_noise(schedule, sigma);
}
double Parameterisation::c_skip(double sigma) const {
  return skip(*this, sigma);
}
double Parameterisation::c_out(double sigma) const {
  return out(*this, sigma);
}

at::Tensor Parameterisation::noise_of(const at::Tensor& output, const at::Tensor& x_t, double sigma) const {
  if (prediction == Prediction::eps && schedule != Schedule::ve) return output;
  const double of_x = (1 - c_skip(sigma)) / sigma * std::sqrt(1 + sigma * sigma);
  return of_x * x_t + noise_error(sigma) * output;
}

Parameterisation parameterisation_of(const ImageConfig& config) {
  Parameterisation p;
  p.sigma_data = config.sigma_data;
  p.schedule = config.precondition;
  p.prediction = config.prediction;
  if (p.prediction == Prediction::automatic) {
    p.prediction = p.schedule == Schedule::edm ? Prediction::edm : Prediction::eps;
  }
  return p;
}

Parameterisation parameterisation_of(const LatentConfig& config) {
  Parameterisation p;
  p.sigma_data = 1;
  p.schedule = Schedule::vp_linear;
  p.prediction = config.prediction;
  p.learned_variance = config.learned_variance;
  return p;
}

}  // namespace diffit::diffusion
