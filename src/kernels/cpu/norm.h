// Group and layer normalisation on the CPU, forward and backward, of maps as they lie.
#pragma once

#include <cstdint>

#include "kernels/cpu/element.h"

namespace diffit::kernels::cpu {

struct GroupNormShape {
  std::int64_t batch, pixels, channels, groups;  // x is [batch, pixels, channels], groups divides channels
  bool silu;
};

/// y = GroupNorm(x) * weight + bias, then SiLU where asked; x, y of the type `element`.
///   weight, bias       [channels]
///   mean, inverse_deviation   [batch, groups], written for the backward pass
void group_norm_forward(const GroupNormShape& shape, Element element, const void* x, const float* weight,
                        const float* bias, double eps, void* y, float* mean, float* inverse_deviation);

/// Gradients from d_y; d_weight and d_bias [channels]. They do not depend on the thread count.
void group_norm_backward(const GroupNormShape& shape, Element element, const void* x, const float* weight,
                         const float* bias, const float* mean, const float* inverse_deviation,
                         const void* d_y, void* d_x, float* d_weight, float* d_bias);

/// y = (x - mean) / sqrt(variance + eps) of each row of x [rows, width].
///   mean, inverse_deviation   [rows], written for the backward pass; null where there is none
void layer_norm_forward(std::int64_t rows, std::int64_t width, Element element, const void* x, double eps,
                        void* y, float* mean, float* inverse_deviation);

void layer_norm_backward(std::int64_t rows, std::int64_t width, Element element, const void* x,
                         const float* mean, const float* inverse_deviation, const void* d_y, void* d_x);

/// stream [rows, width] float32 += added; y = (stream - mean) / sqrt(variance + eps) of each row. added and y
/// are of the type `element`.
void add_layer_norm(std::int64_t rows, std::int64_t width, Element element, float* stream, const void* added,
                    double eps, void* y);

}  // namespace diffit::kernels::cpu
