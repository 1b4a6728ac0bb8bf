// The gradients of a linear layer's parameters on the CPU.
#pragma once

#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels::cpu {

/// Whether linear_parameter_gradients is made for the size: whole vectors, and sums that stay in the caches.
bool takes_linear_gradients(std::int64_t in, std::int64_t out);

/// d_weight [out, in] = d_y^T x, d_bias [out] = column sums of d_y (null: not wanted), for x [rows, in] and
/// d_y [rows, out]. They do not depend on the thread count.
void linear_parameter_gradients(std::int64_t rows, std::int64_t in, std::int64_t out, const float* x,
                                const float* d_y, float* d_weight, float* d_bias);

}  // namespace diffit::kernels::cpu
