// A sentence about the machine, for people who compare times.
#pragma once

#include <string>

#include "runtime/runtime.h"

namespace diffit::jobs {

/// "AMD EPYC 9R14, 2 threads, AVX-512 kernels, bf16".
std::string describe_runtime(const Runtime& runtime);

}  // namespace diffit::jobs
