// Functions of one number, and the doubling of maps, on the CPU.
#pragma once

#include <cstdint>

#include "kernels/cpu/element.h"

namespace diffit::kernels::cpu {

/// y = gelu_tanh(x), `count` numbers.
void gelu_forward(std::int64_t count, Element element, const void* x, void* y);
/// d_x = d_y gelu_tanh'(x).
void gelu_backward(std::int64_t count, Element element, const void* x, const void* d_y, void* d_x);

struct MapShape {
  std::int64_t batch, height, width, channels;
};

/// y [batch, 2 height, 2 width, channels] = x [batch, height, width, channels], each pixel four times.
void upsample2_forward(const MapShape& shape, Element element, const void* x, void* y);
/// d_x = the sum of the four gradients of a pixel.
void upsample2_backward(const MapShape& shape, Element element, const void* d_y, void* d_x);

}  // namespace diffit::kernels::cpu
