#include "analysis/noise_error.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "runtime/pch.h"

namespace diffit::analysis {

std::vector<double> noise_levels(double sigma_min, double sigma_max, std::int64_t levels) {
  DIFFIT_CHECK(
      levels >= 1 && sigma_min > 0 && sigma_min <= sigma_max,
      "noise levels: wanted at least one between 0 < sigma_min <= sigma_max, got {} between {} and {}",
      levels, sigma_min, sigma_max);
  std::vector<double> sigmas;
  for (std::int64_t k = 0; k < levels; ++k) {
    const double share = levels == 1 ? 0 : static_cast<double>(k) / static_cast<double>(levels - 1);
    sigmas.push_back(sigma_max * std::pow(sigma_min / sigma_max, share));
  }
  return sigmas;
}

at::Tensor noise_errors(const Denoiser& denoise, const at::Tensor& y, const std::vector<double>& sigmas,
                        std::uint64_t seed, std::int64_t first, std::int64_t batch) {
  const at::NoGradGuard no_grad;
  const std::int64_t count = y.size(0), levels = static_cast<std::int64_t>(sigmas.size());
  at::Tensor errors = at::empty({levels, count}, at::kDouble);
  for (std::int64_t begin = 0; begin < count; begin += batch) {
    const at::Tensor clean = y.narrow(0, begin, std::min(batch, count - begin));
    for (std::int64_t k = 0; k < levels; ++k) {
      const double sigma = sigmas[static_cast<std::size_t>(k)];
      at::Tensor noise = at::empty(clean.sizes(), at::kFloat);
      for (std::int64_t i = 0; i < noise.size(0); ++i) {
        Random random(seed, stream_of(Purpose::evaluation_noise,
                                      static_cast<std::uint64_t>((first + begin + i) * levels + k)));
        const at::Tensor row = noise[i];
        random.normal({row.mutable_data_ptr<float>(), static_cast<std::size_t>(row.numel())});
      }
      const at::Tensor x = clean.to(at::kDouble) + sigma * noise.to(clean.device());
      const at::Tensor error = (denoise(x, sigma) - clean).square().flatten(1).mean(1);
      errors[k].narrow(0, begin, error.size(0)).copy_(error);
    }
  }
  return errors;
}

}  // namespace diffit::analysis
