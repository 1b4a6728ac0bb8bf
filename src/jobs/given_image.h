// Images that a person gives, as a model has them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "base/layers.h"
#include "diffit/image.h"

namespace diffit::jobs {

/// The centred square of an image at that size (Lanczos), [1, channels, side, side] float32 in [-1, 1]. RGB
/// becomes grey by the weights of Rec. 601, grey is repeated. Error(invalid) names `field`.
at::Tensor given_image(const Image& image, std::int64_t side, std::int64_t channels,
                       const std::string& field);

}  // namespace diffit::jobs
