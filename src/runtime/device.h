// Devices by name: "auto", "cpu", "cuda", "cuda:1".
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "base/layers.h"

namespace diffit::runtime {

struct OpenedDevice {
  at::Device device = at::kCPU;
  /// "auto" on a machine that seems to have a GPU: which device was taken, and why not the GPU. Else empty.
  std::string note;
};

/// Opens "auto", "cpu", "cuda" (the first GPU) or "cuda:i". "auto" takes the first GPU if there is a usable
/// one, else the CPU. Error(invalid) for another name, and for a GPU that is not there or cannot be used.
///
/// LibTorch's CUDA backend is a library of its own. It is loaded here, and before LibTorch is first asked
/// about CUDA: the answer to that question is kept for the life of the process.
///
/// On a GPU the process computes deterministically and in full float32 (no TF32) from then on; see
/// docs/gpu.md for the environment variables DIFFIT_DETERMINISTIC and DIFFIT_TF32, which change that.
OpenedDevice open_device(const std::string& name);

/// Sets what open_device() sets for a GPU. To be called again before work in a process where others, such as
/// PyTorch, may have changed LibTorch's settings.
void use_gpu_numerics();

/// Waits until the device has done all that was asked of it. Returns at once on the CPU.
void synchronize(at::Device device);

/// "f32" or "bf16"; "auto" is bfloat16 where `prefer_bf16` and the device computes in it natively, else
/// float32. Error(invalid) otherwise.
at::ScalarType open_dtype(const std::string& name, at::Device device, bool prefer_bf16);

}  // namespace diffit::runtime
