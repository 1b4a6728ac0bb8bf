// What a command runs on: device, type and threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/bundled.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

struct Machine {
  at::Device device;
  at::ScalarType dtype;
};

/// The largest --threads that is taken: four threads for each processor, and 64 in any case.
int most_threads();

/// Sets LibTorch's number of threads to --threads or, where that is 0, to at most cpu_count();
/// OMP_NUM_THREADS and MKL_NUM_THREADS of the user are left as they are. Error(failed) where so many threads
/// cannot be had.
void apply_threads(const CommonOptions& common);

/// Applies --threads, opens --device and --dtype (auto: bfloat16 only where `prefer_bf16`).
Machine open_machine(const CommonOptions& common, bool prefer_bf16);

/// "AMD EPYC 9R14, 2 threads, AVX-512 kernels, bf16": for people who compare times.
std::string describe(const Machine& machine);

}  // namespace diffit::cli
