#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace diffit::diffusion {

namespace {

constexpr SigmaRange kVeRange{0.02, 100};

const VpSchedule& linear() {
  static const VpSchedule schedule = VpSchedule::linear();
  return schedule;
}

}  // namespace

double VpProcess::sigma(double t) {
  return std::sqrt(std::expm1(kBetaD / 2 * t * t + kBetaMin * t));
}
at::Tensor VpProcess::t(const at::Tensor& sigma) {
  return ((kBetaMin * kBetaMin + 2 * kBetaD * sigma.square().log1p()).sqrt() - kBetaMin) / kBetaD;
}

SigmaRange sigma_range(Schedule schedule) {
  switch (schedule) {
    case Schedule::vp:
      return {VpProcess::sigma(VpProcess::kEpsT), VpProcess::sigma(1)};
    case Schedule::ve:
      return kVeRange;
    case Schedule::flow:
      return {FlowProcess::sigma(FlowProcess::kEpsT), FlowProcess::sigma(1 - FlowProcess::kEpsT)};
    case Schedule::vp_linear:
      return {linear().sigma(0), linear().sigma(linear().size() - 1)};
    case Schedule::edm:
      break;
  }
  return {0, HUGE_VAL};
}

at::Tensor c_in(Schedule schedule, double sigma_data, const at::Tensor& sigma) {
  switch (schedule) {
    case Schedule::vp:
    case Schedule::vp_linear:
      return 1 / (sigma.square() + 1).sqrt();
    case Schedule::ve:
      return at::ones_like(sigma);
    case Schedule::flow:
      return 1 / (sigma + 1);
    case Schedule::edm:
      break;
  }
  return 1 / (sigma.square() + sigma_data * sigma_data).sqrt();
}

at::Tensor c_noise(Schedule schedule, const at::Tensor& sigma) {
  switch (schedule) {
    case Schedule::vp:
      return (VpProcess::kSteps - 1) * VpProcess::t(sigma);
    case Schedule::ve:
      return (sigma / 2).log();
    case Schedule::flow:
      return FlowProcess::kSteps * sigma / (sigma + 1);
    case Schedule::vp_linear: {
      at::Tensor t = sigma.to(at::kCPU).to(at::kDouble).contiguous().clone();
      double* values = t.mutable_data_ptr<double>();
      for (std::int64_t i = 0; i < t.numel(); ++i) {
        values[i] = static_cast<double>(nearest_step(linear(), values[i]));
      }
      return t.to(sigma.options());
    }
    case Schedule::edm:
      break;
  }
  return sigma.log() / 4;
}

VpSchedule timesteps_of(Schedule schedule) {
  if (schedule != Schedule::vp_linear) fail("this noise schedule is continuous and has no timesteps");
  return linear();
}

double NoiseDistribution::sigma(Random& random) const {
  switch (kind) {
    case Schedule::vp:
      return VpProcess::sigma(VpProcess::kEpsT + (1 - VpProcess::kEpsT) * random.uniform());
    case Schedule::ve:
      return kVeRange.least * std::pow(kVeRange.most / kVeRange.least, random.uniform());
    case Schedule::flow:
      return FlowProcess::sigma(FlowProcess::kEpsT + (1 - 2 * FlowProcess::kEpsT) * random.uniform());
    case Schedule::vp_linear:
      return linear().sigma(random.below(static_cast<std::uint32_t>(linear().size())));
    case Schedule::edm:
      break;
  }
  return std::exp(random.normal() * deviation + mean);
}

}  // namespace diffit::diffusion
