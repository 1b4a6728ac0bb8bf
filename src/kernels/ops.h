// The operations that LibTorch lacks or is slow at. The definition of each in plain ATen (`definition::`
// below) is the fallback on any device and what the fast paths in cpu/ and cuda/ are tested against. All but
// add_layer_norm are differentiable; all take float32 or bfloat16, accumulate in float32 and return the dtype
// of their first argument. Wrong shapes, dtypes, devices, and sizes that do not divide are Error(invalid).
//
// Shapes: B batch, H and W map height and width, C channels, w window, N = w*w tokens in a window. Maps are
// [B, H, W, C] contiguous: a window is a strided view of such a map, never a copy.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels {

/// Time-dependent self-attention inside non-overlapping w x w windows (DiffiT eq. 3 to 6):
/// softmax((q + q_t)(k + k_t)^T / sqrt(C / heads) + bias)(v + v_t) in each window and head.
///   qkv   [B, H, W, 3C]          q, k, v in this order, heads contiguous within each; H, W multiples of w
///   qkv_t [B, 3C]                the time token's projection, added to every token of its sample
///   table [(2w-1)^2, heads] f32  relative position bias; entry for query (y,x), key (y',x') is
///                                (y - y' + w - 1) * (2w - 1) + (x - x' + w - 1)
/// returns [B, H, W, C].
at::Tensor tmsa_attention(const at::Tensor& qkv, const at::Tensor& qkv_t, const at::Tensor& table,
                          std::int64_t heads, std::int64_t window);

/// LayerNorm over the last axis, without affine: (x - mean) / sqrt(var + eps).
at::Tensor layer_norm(const at::Tensor& x, double eps);

/// stream += added, in place, then LayerNorm(stream) in the dtype of `added`: a residual stream that stays in
/// float32 while layers compute in less. Not differentiable; stream [..., C] f32, added [..., C].
at::Tensor add_layer_norm(at::Tensor& stream, const at::Tensor& added, double eps);

/// GELU by its tanh approximation: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
at::Tensor gelu_tanh(const at::Tensor& x);

/// GroupNorm of a map [B, H, W, C] with weight [C] and bias [C], then SiLU where `silu`.
at::Tensor group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                      const at::Tensor& bias, double eps, bool silu);

/// x W^T + b over the last axis; weight [out, in], bias [out] or undefined.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// 2-D convolution of a map [B, H, W, Cin] with weight [Cout, Cin, k, k] (any memory format; channels-last is
/// used as it lies), zero padding k / 2, giving [B, H', W', Cout].
at::Tensor conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t stride);

/// Nearest-neighbour doubling of a map: [B, H, W, C] -> [B, 2H, 2W, C].
at::Tensor upsample2(const at::Tensor& x);

/// Whether the fast paths are taken (default). Off: the definitions everywhere, for tests and doubt; set once
/// at start, by DIFFIT_KERNELS=definition or by a test.
void use_fast_kernels(bool on);
bool fast_kernels();

/// The instruction set that the CPU kernels chose: "AVX3_ZEN4", "AVX2", ... for `diffit info`.
const char* cpu_kernel_target();

namespace definition {
at::Tensor tmsa_attention(const at::Tensor& qkv, const at::Tensor& qkv_t, const at::Tensor& table,
                          std::int64_t heads, std::int64_t window);
at::Tensor layer_norm(const at::Tensor& x, double eps);
at::Tensor add_layer_norm(at::Tensor& stream, const at::Tensor& added, double eps);
at::Tensor gelu_tanh(const at::Tensor& x);
at::Tensor group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                      const at::Tensor& bias, double eps, bool silu);
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t stride);
at::Tensor upsample2(const at::Tensor& x);
}  // namespace definition

}  // namespace diffit::kernels
