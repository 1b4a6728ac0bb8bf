// Argument checks of the operations, done once before raw pointers are used. Error(invalid) states the
// operation, the expected value and the actual value.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels::checks {

void tmsa_attention(const at::Tensor& qkv, const at::Tensor& qkv_t, const at::Tensor& table,
                    std::int64_t heads, std::int64_t window);
void layer_norm(const at::Tensor& x, double eps);
void add_layer_norm(const at::Tensor& stream, const at::Tensor& added, double eps);
void gelu_tanh(const at::Tensor& x);
void group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight, const at::Tensor& bias,
                double eps);
void linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
void conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t stride);
void upsample2(const at::Tensor& x);

/// Checks only the parameters of a layer: weight [out, in], bias [out] or undefined, `rows` at least 1.
void packed_linear(const at::Tensor& weight, const at::Tensor& bias, std::int64_t rows);
/// x [..., in] of a packed layer.
void packed_linear_input(const char* operation, const at::Tensor& x, std::int64_t in, at::ScalarType type,
                         at::Device device);
void packed_linear_residual(const at::Tensor& residual, const at::Tensor& x, std::int64_t out);
void packed_convolution(const at::Tensor& weight, const at::Tensor& bias,
                        const std::array<std::int64_t, 2>& padding, std::int64_t stride,
                        const std::array<std::int64_t, 4>& like);
/// x [B, H, W, in] of a packed convolution with a kernel of kernel[0] x kernel[1].
void packed_convolution_input(const at::Tensor& x, std::int64_t in, const std::array<std::int64_t, 2>& kernel,
                              const std::array<std::int64_t, 2>& padding, at::ScalarType type,
                              at::Device device);

}  // namespace diffit::kernels::checks
