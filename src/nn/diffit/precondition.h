// How the denoiser of an image-space model is computed from its network, as a field of its configuration.
#pragma once

#include <span>
#include <string_view>

#include "base/layers.h"

namespace diffit::nn {

/// Field `precondition`: how D(x; sigma) is computed from F, and the noise levels of training
/// (diffusion/edm.h).
enum class Precondition { edm, vp, ve };

/// Names of the values in configurations.
inline std::span<const std::string_view> enum_names(Precondition) {
  static constexpr std::string_view kNames[] = {"edm", "vp", "ve"};
  return kNames;
}

}  // namespace diffit::nn
