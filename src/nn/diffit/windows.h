// Attention inside windows with explicit intermediate results. It computes the same function as the fused
// kernel (kernels/ops.h), for time paths that the kernel does not support and for inspecting attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::nn {

/// Queries, keys, values and position bias. M is the number of keys: the N = w * w tokens of a window, plus
/// the time token if there is one.
struct AttentionParts {
  at::Tensor q;     // [B, windows, heads, N, d], windows in row-major order
  at::Tensor k, v;  // [B, windows, heads, M, d]
  at::Tensor bias;  // [B or 1, 1, heads, N, M]
};

/// Returns an index [N, N] int64 with N = w * w: entry (i, j) is the row of the relative position bias table
/// used for query i and key j.
at::Tensor relative_position_index(std::int64_t w);

/// Splits a map qkv [B, H, W, 3C] into windows of side w, which must divide H and W. The bias is left
/// undefined.
AttentionParts split_windows(const at::Tensor& qkv, std::int64_t heads, std::int64_t window);

/// Returns the position bias [B or 1, 1, heads, N, N] for one table [(2w-1)^2, heads], or for one table per
/// sample [B, (2w-1)^2, heads].
at::Tensor position_bias(const at::Tensor& table, std::int64_t window);

/// Appends a key and a value [B, C] to every window of each sample, with position bias 0.
void append_token(AttentionParts& parts, const at::Tensor& key, const at::Tensor& value);

/// Returns softmax(q k^T / sqrt(d) + bias): [B, windows, heads, N, M] in float32 or wider.
at::Tensor attention_probabilities(const AttentionParts& parts);

/// Returns the attention output, reassembled to a map of size height x width: [B, H, W, C] in the dtype of v.
at::Tensor attend(const AttentionParts& parts, std::int64_t height, std::int64_t width);

}  // namespace diffit::nn
