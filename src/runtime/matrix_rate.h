// The machine's own rate of matrix products, with which rates of networks are compared.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::runtime {

/// FLOP a second of square matrix products in that dtype, measured for about `seconds` with random values:
/// 8192 a side on a GPU, 1024 on a CPU.
double matrix_product_rate(at::Device device, at::ScalarType dtype, double seconds);

}  // namespace diffit::runtime
