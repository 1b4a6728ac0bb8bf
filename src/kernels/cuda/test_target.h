// Where the tests of the CUDA kernels run: on a GPU if there is one, else on the CPU by the emulator.
#pragma once

#include <optional>
#include <vector>

#include "kernels/cuda_backend.h"
#include "runtime/device.h"
#include "runtime/pch.h"

extern "C" const diffit::kernels::cuda::Functions* diffit_cuda_functions(int version);

namespace diffit::testing {

inline const kernels::cuda::Functions& emulated_functions() {
  return *diffit_cuda_functions(kernels::cuda::kFunctionsVersion);
}

/// A GPU is opened before any test asks LibTorch for random numbers, and with them about CUDA.
inline const bool has_gpu = runtime::open_device("auto").device.is_cuda() && kernels::has_cuda_kernels();

/// Where the tensors of a test go: to the GPU, or to the CPU while the emulator stands in for one.
struct Target {
  Target() {
    if (!has_gpu) emulated.emplace(emulated_functions());
  }
  at::Device device = has_gpu ? at::kCUDA : at::kCPU;
  std::optional<kernels::EmulatedCuda> emulated;
};

inline std::vector<at::Tensor> moved(const std::vector<at::Tensor>& tensors, at::Device device) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& x : tensors) result.push_back(x.to(device));
  return result;
}

}  // namespace diffit::testing
