// Where work runs, opened: device, number type and threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"
#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit::runtime {

struct Runtime {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // of matrix products and convolutions: float32 or bfloat16
};

/// The largest number of threads that is accepted: four per processor, and 64 in any case.
int most_threads();

/// Sets LibTorch's number of threads to `threads` or, if that is 0, to at most cpu_count(), unless
/// OMP_NUM_THREADS or MKL_NUM_THREADS is set. Throws Error(failed) if the system cannot start that many.
void apply_threads(int threads);

/// Applies the options. dtype "auto" is bfloat16 only if `prefer_bf16` and the device computes in it
/// natively. Notes which device was chosen if "auto" could have taken a GPU. Throws Error(invalid) for
/// unknown names and for a device that cannot be used.
Runtime open_runtime(const RuntimeOptions& options, bool prefer_bf16, Monitor& monitor);

}  // namespace diffit::runtime
