// What a command runs on: device, type and threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/bundled.h"
#include "tools/diffit/command.h"

namespace diffit {

struct Machine {
  at::Device device;
  at::ScalarType dtype;
};

/// Applies --threads, opens --device and --dtype (auto: bfloat16 only where `prefer_bf16`).
Machine open_machine(const CommonOptions& common, bool prefer_bf16);

/// "AMD EPYC 9R14, 2 threads, AVX-512 kernels, bf16": for people who compare times.
std::string describe(const Machine& machine);

}  // namespace diffit
