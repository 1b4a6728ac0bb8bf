// Model::denoise for tensors, on any device.
#pragma once

#include <ATen/core/Tensor.h>

#include "diffit/model.h"

namespace diffit::jobs {

/// As Model::denoise: x [B, C, R, R] and sigma [B] float32, labels [B] int64 or undefined, each contiguous,
/// on the CPU or a GPU, which need not be the model's. Returns D(x; sigma) on the device of x, finished.
at::Tensor denoise(const Model& model, const at::Tensor& x, const at::Tensor& sigma,
                   const at::Tensor& labels);

}  // namespace diffit::jobs
