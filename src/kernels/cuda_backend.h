// The fast paths on a GPU: libdiffit_cuda.so (cuda/functions.h), opened where it is installed.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backend.h"
#include "kernels/cuda/functions.h"

namespace diffit::kernels {

/// Whether libdiffit_cuda.so was found, in the version that this library expects. Opens it.
bool has_cuda_kernels();

/// The backend of CUDA tensors; null without libdiffit_cuda.so, and the definitions are used. The first call
/// opens the library, so it must come after open_device().
const Backend* cuda_backend();

/// For tests: while it lives, CPU tensors take the CUDA backend with these functions, which an emulator runs.
class EmulatedCuda {
 public:
  explicit EmulatedCuda(const cuda::Functions& functions);
  ~EmulatedCuda();
  EmulatedCuda(const EmulatedCuda&) = delete;
  EmulatedCuda& operator=(const EmulatedCuda&) = delete;
};

/// Whether CPU tensors take the CUDA backend now.
bool emulates_cuda();

}  // namespace diffit::kernels
