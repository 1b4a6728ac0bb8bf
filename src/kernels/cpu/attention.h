// Time-dependent window attention on the CPU, forward and backward, over maps read in place.
#pragma once

#include <cstdint>

#include "kernels/cpu/element.h"

namespace diffit::kernels::cpu {

struct AttentionShape {
  std::int64_t batch, height, width;  // of the map; height and width are multiples of window
  std::int64_t heads, head_dim, window;

  std::int64_t channels() const { return heads * head_dim; }
  std::int64_t tokens() const { return window * window; }
};

/// See diffit::tmsa_attention for the shapes; qkv, qkv_t, out are contiguous and of the type `element`.
void attention_forward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                       const float* table, void* out);

/// Gradients from d_out, recomputing the probabilities. The result does not depend on the thread count.
void attention_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                        const float* table, const void* d_out, void* d_qkv, void* d_qkv_t, float* d_table);

}  // namespace diffit::kernels::cpu
