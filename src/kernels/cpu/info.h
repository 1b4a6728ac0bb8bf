// The instruction set that was chosen.
#pragma once

#include "base/layers.h"

namespace diffit::kernels::cpu {

/// "AVX3", "AVX2", or "SCALAR" where neither is there.
const char* target_name();

/// Whether the processor has one of the vector instruction sets that the kernels are written for.
bool has_vector_target();

}  // namespace diffit::kernels::cpu
