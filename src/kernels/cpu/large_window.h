// The forward pass of attention in windows of 256 tokens and more: the latent model's whole grid.
#pragma once

#include "kernels/cpu/attention.h"

namespace diffit::cpu {

/// Whether large_window_forward is made for the shape: rows of the window are whole vectors.
bool takes_large_window(const AttentionShape& shape);

/// What attention_forward computes. In bfloat16, where the processor multiplies it natively, q, k, v and the
/// probabilities are rounded to it (sums and softmax are float32); elsewhere it computes in float32
/// throughout.
void large_window_forward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                          const float* table, void* out);

/// Whether bfloat16 numbers are multiplied natively here.
bool multiplies_bfloat16();

}  // namespace diffit::cpu
