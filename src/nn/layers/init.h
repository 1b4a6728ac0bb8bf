// Initializers of parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/random.h"

namespace diffit::nn {

/// Initializer of a parameter. Those of latent models follow the released code.
enum class Initializer {
  zero,
  one,
  xavier_uniform,  // linear and convolution weights: bound sqrt(6 / (fan_in + fan_out))
  normal_002,      // label table and time MLP: normal with standard deviation 0.02
  truncated_002,   // bias table: normal with standard deviation 0.02, truncated at two standard deviations
  fixed,           // computed by its module and not trained (position table)
  buffer,          // int64 index: written to files and checked, not trained
};

class ParameterList;

/// Initializes every trained parameter. The values depend only on the seed and the position in the list.
void initialise(const ParameterList& parameters, std::uint64_t seed);

/// Returns standard normal numbers of that shape, float32 on the CPU, drawn in row-major order.
at::Tensor normal_tensor(at::IntArrayRef shape, Random& random);

}  // namespace diffit::nn
