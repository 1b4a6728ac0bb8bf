// What the NVIDIA driver says of this machine's GPUs, asked without LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/layers.h"

namespace diffit::runtime {

struct Gpu {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::uint64_t memory_bytes = 0;
};

struct GpuProbe {
  std::vector<Gpu> gpus;       // those that this process may use, in CUDA's order
  int cuda_version = 0;        // the newest CUDA that the driver supports, 13000 for 13.0; 0: no driver
  bool seems_present = false;  // whether this machine seems to have an NVIDIA GPU, usable or not
  std::string reason;          // why there is no usable GPU; empty if there is one
};

/// Asks the driver (libcuda.so.1), once; later calls return the first answer. Creates no context on any GPU.
const GpuProbe& probe_gpus();

/// "13.0" of 13000.
std::string cuda_version_text(int version);

}  // namespace diffit::runtime
