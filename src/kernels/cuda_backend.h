// The fast paths on a GPU: libdiffit_cuda.so (cuda/functions.h), opened where it is installed.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backend.h"
#include "kernels/cuda/functions.h"

namespace diffit {

/// Opens libdiffit_cuda.so; false where it is not there or of another version, and the definitions are used.
/// Called once a GPU is opened.
bool open_cuda_kernels();

/// Whether they are open: for `diffit info`.
bool has_cuda_kernels();

/// The backend of CUDA tensors; null without the library.
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

}  // namespace diffit
