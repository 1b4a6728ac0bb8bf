// Attention inside windows with its parts in the open: what the fused kernel (kernels/ops.h) computes without
// keeping. For the paths of time that it does not know, and for looking at attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace diffit {

/// Queries, keys, values and position bias; M keys: the N = w * w tokens of a window, and a time token where
/// there is one.
struct AttentionParts {
  at::Tensor q;     // [B, windows, heads, N, d], windows by rows
  at::Tensor k, v;  // [B, windows, heads, M, d]
  at::Tensor bias;  // [B or 1, 1, heads, N, M]
};

/// Cuts a map qkv [B, H, W, 3C] into windows of side w; bias undefined.
AttentionParts split_windows(const at::Tensor& qkv, std::int64_t heads, std::int64_t window);

/// B of one table [(2w-1)^2, heads], or of one a sample [B, (2w-1)^2, heads]: [B or 1, 1, heads, N, N].
at::Tensor position_bias(const at::Tensor& table, std::int64_t window);

/// Appends a key and a value [B, C] to those of every window of their sample, with position bias 0.
void append_token(AttentionParts& parts, const at::Tensor& key, const at::Tensor& value);

/// softmax(q k^T / sqrt(d) + bias): [B, windows, heads, N, M], float32 at least.
at::Tensor attention_probabilities(const AttentionParts& parts);

/// The map of its products with v: [B, H, W, C] of v's type.
at::Tensor attend(const AttentionParts& parts, std::int64_t height, std::int64_t width);

}  // namespace diffit
