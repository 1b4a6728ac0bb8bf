// Attention in windows of 256 tokens and more: the latent model's whole grid, an image-space model's whole
// map.
#pragma once

#include "kernels/cpu/attention.h"

namespace diffit::kernels::cpu {

/// Whether large_window_forward is made for the shape: rows of the window are whole vectors.
bool takes_large_window(const AttentionShape& shape);

/// What attention_forward computes. In bfloat16, where the processor multiplies it natively, q, k, v and the
/// probabilities are rounded to it (sums and softmax are float32); elsewhere it computes in float32
/// throughout.
void large_window_forward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                          const float* table, void* out);

/// What attention_backward computes, for windows of any size: a block of queries at a time, so that no matrix
/// of tokens by tokens is kept.
void large_window_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                           const float* table, const void* d_out, void* d_qkv, void* d_qkv_t, float* d_table);

/// Whether bfloat16 numbers are multiplied natively here.
bool multiplies_bfloat16();

}  // namespace diffit::kernels::cpu
