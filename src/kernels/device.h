// Devices by their name on the command line.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace diffit {

/// "auto", "cpu", "cuda" or "cuda:i". CUDA's backend is opened here, at run time, where it is installed;
/// "auto" takes it where there is a GPU as well, else the CPU. Error(invalid) for other names and for a
/// device that is not there.
at::Device open_device(const std::string& name);

/// "f32" or "bf16"; "auto" is bfloat16 where `prefer_bf16` and the device computes in it natively, else
/// float32. Error(invalid) otherwise.
at::ScalarType open_dtype(const std::string& name, at::Device device, bool prefer_bf16);

}  // namespace diffit
