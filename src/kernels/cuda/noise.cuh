// Random numbers: launched.
#pragma once

#include "kernels/cuda/functions.h"

namespace diffit::kernels::cuda {

Status fill_noise(const Noise& shape, const std::int64_t* first, const float* scale, float* out,
                  Stream stream);

}  // namespace diffit::kernels::cuda
