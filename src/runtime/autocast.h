// Mixed precision: matrix products and convolutions in a lower precision, by LibTorch's autocast.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::runtime {

/// While it lives, linear and conv2d on `device` compute in `dtype` (at::kFloat: as they come). Casts of
/// weights that require gradients are cached until the outermost scope ends. One thread's own.
class Autocast {
 public:
  Autocast(at::DeviceType device, at::ScalarType dtype);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType was_dtype_;
};

}  // namespace diffit::runtime
