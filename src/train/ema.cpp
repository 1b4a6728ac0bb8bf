#include "train/ema.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace diffit::training {

double half_life_beta(double images, double batch, double half_life, double ramp_up) {
  if (ramp_up > 0) half_life = std::min(half_life, ramp_up * images);
  return half_life > 0 ? std::pow(0.5, batch / half_life) : 0;
}

double power_beta(double images, double batch, double gamma) {
  return std::pow(1 - batch / images, gamma + 1);
}

double power_gamma(double std) {
  DIFFIT_CHECK(std > 0 && std < 1 / std::sqrt(12.0), "EMA width: wanted 0 < std < 0.288, got {}", std);
  // std^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)) decreases with gamma, so it is solved by bisection.
  double low = 0, high = 1;
  const auto variance = [](double g) { return (g + 1) / ((g + 2) * (g + 2) * (g + 3)); };
  while (variance(high) > std * std) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (variance(middle) > std * std ? low : high) = middle;
  }
  return (low + high) / 2;
}

namespace {

/// Integral of the product of two profiles p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1), 0 <= tau <= t.
double inner_product(const PowerProfile& a, const PowerProfile& b) {
  const double sum = a.gamma + b.gamma + 1;
  const double log_power = sum * std::log(std::min(a.images, b.images)) - (a.gamma + 1) * std::log(a.images) -
                           (b.gamma + 1) * std::log(b.images);
  return (a.gamma + 1) * (b.gamma + 1) / sum * std::exp(log_power);
}

/// inner_product() in units of the longest training, so that values stay near one.
class ProfileSpace {
 public:
  ProfileSpace(std::span<const PowerProfile> tracked, const PowerProfile& wanted) : longest_(wanted.images) {
    for (const PowerProfile& p : tracked) longest_ = std::max(longest_, p.images);
  }
  double operator()(const PowerProfile& a, const PowerProfile& b) const {
    return inner_product({a.gamma, a.images / longest_}, {b.gamma, b.images / longest_});
  }

 private:
  double longest_;
};

}  // namespace

std::vector<double> reconstruction(std::span<const PowerProfile> tracked, const PowerProfile& wanted) {
  DIFFIT_CHECK(!tracked.empty(), "post-hoc EMA: wanted snapshots with power-function averages, found none");
  const auto n = static_cast<std::int64_t>(tracked.size());
  const ProfileSpace product(tracked, wanted);
  at::Tensor gram = at::empty({n, n}, at::kDouble), right = at::empty({n}, at::kDouble);
  for (std::int64_t i = 0; i < n; ++i) {
    const PowerProfile& a = tracked[static_cast<std::size_t>(i)];
    for (std::int64_t j = 0; j < n; ++j) gram[i][j] = product(a, tracked[static_cast<std::size_t>(j)]);
    right[i] = product(a, wanted);
  }
  // With many snapshots the Gram matrix is nearly singular: solve least squares with its eigenvectors.
  const auto [values, vectors] = at::linalg_eigh(gram);
  const at::Tensor kept = values > values.max() * 1e-13;
  const at::Tensor inverse = at::where(kept, values.reciprocal(), at::zeros_like(values));
  at::Tensor x = vectors.mv(inverse * vectors.t().mv(right));
  x = (x / x.sum()).contiguous();
  return {x.const_data_ptr<double>(), x.const_data_ptr<double>() + n};
}

double reconstruction_error(std::span<const PowerProfile> tracked, std::span<const double> weights,
                            const PowerProfile& wanted) {
  const ProfileSpace product(tracked, wanted);
  double square = product(wanted, wanted);
  for (std::size_t i = 0; i < tracked.size(); ++i) {
    square -= 2 * weights[i] * product(tracked[i], wanted);
    for (std::size_t j = 0; j < tracked.size(); ++j)
      square += weights[i] * weights[j] * product(tracked[i], tracked[j]);
  }
  return std::sqrt(std::max(0.0, square) / product(wanted, wanted));
}

Ema::Ema(std::string name, const EmaSection& section, double power_std, std::vector<Parameter> averaged)
    : name_(std::move(name)),
      section_(section),
      power_std_(power_std),
      gamma_(power_std > 0 ? power_gamma(power_std) : 0),
      trained_(std::move(averaged)) {
  for (const Parameter& p : trained_) {
    weights_.push_back(p.tensor);
    averages_.push_back(p.tensor.detach().clone());
  }
}

double Ema::beta(double images, double batch) const {
  return power_std_ > 0 ? power_beta(images, batch, gamma_)
                        : half_life_beta(images, batch, static_cast<double>(section_.half_life_images),
                                         section_.ramp_up);
}

void Ema::update(double images, double batch) {
  const at::NoGradGuard no_grad;
  at::_foreach_lerp_(averages_, weights_, 1 - beta(images, batch));
}

std::vector<std::pair<std::string, at::Tensor>> Ema::state() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (std::size_t i = 0; i < trained_.size(); ++i)
    state.emplace_back(name_ + "." + trained_[i].name, averages_[i]);
  return state;
}

std::vector<Ema> make_emas(const EmaSection& section, const std::vector<Parameter>& averaged) {
  std::vector<Ema> emas;
  emas.emplace_back("ema", section, 0.0, averaged);
  for (const double std : section.power)
    emas.emplace_back(fmt::format("ema-{:.3f}", std), section, std, averaged);
  return emas;
}

}  // namespace diffit::training
