// What a network predicts, on which noise schedule, as fields of its configuration.
#pragma once

#include <span>
#include <string_view>

#include "base/layers.h"

namespace diffit::nn {

/// Noise levels and how the network sees them (diffusion/schedule.h). Field `precondition` of image-space
/// models; latent models have vp_linear.
enum class Schedule { edm, vp, ve, flow, vp_linear };

/// Quantity that the network's output F estimates (diffusion/parameterisation.h); field `prediction`.
enum class Prediction {
  automatic,  // edm on the schedule edm, else eps
  x0,
  eps,
  v,
  velocity,
  edm,
};

/// Names of the values in configurations; vp_linear has none.
inline std::span<const std::string_view> enum_names(Schedule) {
  static constexpr std::string_view kNames[] = {"edm", "vp", "ve", "flow"};
  return kNames;
}
inline std::span<const std::string_view> enum_names(Prediction) {
  static constexpr std::string_view kNames[] = {"auto", "x0", "eps", "v", "velocity", "edm"};
  return kNames;
}

}  // namespace diffit::nn
