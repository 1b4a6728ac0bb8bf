// The optimizer step over all parameters: chosen, launched, and its workspace laid out.
#pragma once

#include "kernels/cuda/functions.h"

namespace diffit::kernels::cuda {

std::size_t optimizer_workspace(const OptimizerStep& step);
Status optimizer_update(const OptimizerStep& step, const OptimizerBuffers& buffers, Stream stream);

}  // namespace diffit::kernels::cuda
