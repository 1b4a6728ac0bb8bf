// Group and layer normalization: chosen, launched, and their workspaces laid out.
#pragma once

#include "kernels/cuda/functions.h"

namespace diffit::kernels::cuda {

bool takes_group_norm(const GroupNorm& shape);
std::size_t group_norm_workspace(const GroupNorm& shape);
Status group_norm_forward(const GroupNorm& shape, const GroupNormBuffers& buffers, Stream stream);
Status group_norm_backward(const GroupNorm& shape, const GroupNormBuffers& buffers, Stream stream);

bool takes_layer_norm(const LayerNorm& shape);
Status layer_norm_forward(const LayerNorm& shape, const void* x, void* y, float* statistics, Stream stream);
Status layer_norm_backward(const LayerNorm& shape, const void* x, const float* statistics, const void* d_y,
                           void* d_x, Stream stream);
Status add_layer_norm(const LayerNorm& shape, float* stream_values, const void* added, void* y,
                      Stream stream);

bool takes_residual_norm(const ResidualNorm& shape);
Status residual_norm_forward(const ResidualNorm& shape, const ResidualNormBuffers& buffers, Stream stream);
Status residual_norm_backward(const ResidualNorm& shape, const ResidualNormBuffers& buffers, Stream stream);

}  // namespace diffit::kernels::cuda
