// Fast paths on a GPU, from libdiffit_cuda.so (cuda/functions.h), which is loaded if it is installed.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backend.h"
#include "kernels/cuda/functions.h"

namespace diffit::kernels {

/// Loads libdiffit_cuda.so; returns true if it was found and has the expected version.
bool has_cuda_kernels();

/// Backend of CUDA tensors; null without libdiffit_cuda.so, in which case the definitions are used. The first
/// call loads the library and must come after open_device().
const Backend* cuda_backend();

/// The functions behind the backend; null where it is null.
const cuda::Functions* cuda_functions();
/// The current stream of the device of x.
cuda::Stream cuda_stream(const at::Tensor& x);
/// The kernels' name of float32 or bfloat16.
cuda::Element cuda_element(at::ScalarType type);
/// Whether the kernels, which read vectors of 16 bytes, take memory that begins here.
bool is_aligned(const void* pointer);
/// x, or a copy of it that is aligned.
at::Tensor aligned(const at::Tensor& x);
/// Throws Error(failed) that names the operation if a function returned an error.
void check_cuda(cuda::Status status, const char* operation);

/// For tests: during its lifetime CPU tensors use the CUDA backend with these functions, run by an emulator.
class EmulatedCuda {
 public:
  explicit EmulatedCuda(const cuda::Functions& functions);
  ~EmulatedCuda();
  EmulatedCuda(const EmulatedCuda&) = delete;
  EmulatedCuda& operator=(const EmulatedCuda&) = delete;
};

/// Returns true while CPU tensors use the CUDA backend.
bool emulates_cuda();

}  // namespace diffit::kernels
