// Attention's kernels chosen by shape, launched, and their workspaces laid out.
#pragma once

#include "kernels/cuda/functions.h"

namespace diffit::kernels::cuda {

bool takes_attention(const Attention& shape);
bool attention_keeps_output(const Attention& shape);
std::size_t attention_statistics(const Attention& shape);
std::size_t attention_workspace(const Attention& shape, bool backward);
Status attention_forward(const Attention& shape, const AttentionBuffers& buffers, Stream stream);
Status attention_backward(const Attention& shape, const AttentionBuffers& buffers, Stream stream);

}  // namespace diffit::kernels::cuda
