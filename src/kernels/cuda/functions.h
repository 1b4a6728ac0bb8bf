// The CUDA kernels as the program sees them: libdiffit_cuda.so, opened at run time, whose one symbol returns
// this table of functions. They take pointers to device memory, allocate nothing, and return at once: their
// work is queued on `stream`. No CUDA header and no tensor is needed on either side.
//
// A result never depends on the order in which threads run: the same input gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diffit::kernels::cuda {

enum class Element : std::int32_t { float32, bfloat16 };

using Stream = void*;  // a cudaStream_t

/// What a call returns: null, or what went wrong, a text that lives as long as the library.
using Status = const char*;

/// Time-dependent self-attention inside windows; see diffit::tmsa_attention. bfloat16.
struct Attention {
  std::int32_t batch, height, width, heads, head_dim, window;
};
struct AttentionBuffers {
  const void *qkv, *qkv_t;  // [B, H, W, 3C], [B, 3C]
  const float* table;       // [(2w-1)^2, heads]
  void* out;                // [B, H, W, C]; the backward pass reads it if attention_keeps_output
  float* statistics;        // written by the forward pass for the backward pass, attention_statistics floats
  void* workspace;          // attention_workspace bytes, 256-byte aligned
  const void* d_out = nullptr;  // [B, H, W, C]
  void* d_qkv = nullptr;        // [B, H, W, 3C]
  float *d_qkv_t = nullptr, *d_table = nullptr;
};

/// GroupNorm of [batch, pixels, channels], then SiLU where asked.
struct GroupNorm {
  std::int32_t batch, pixels, channels, groups;
  bool silu;
  Element element;  // of x, y and their gradients
  float eps;
};
struct GroupNormBuffers {
  const void* x;
  const float *weight, *bias;  // [channels]
  void* y;
  float *mean, *inverse_deviation;  // [batch, groups], written by the forward pass
  float* workspace;                 // group_norm_workspace floats
  const void* d_y = nullptr;
  void* d_x = nullptr;
  float *d_weight = nullptr, *d_bias = nullptr;
};

/// LayerNorm of each row of [rows, width], without affine.
struct LayerNorm {
  std::int64_t rows;
  std::int32_t width;
  Element element;
  float eps;
};

struct Functions {
  /// Whether the kernels take this shape. The other attention functions are called only if so.
  bool (*takes_attention)(const Attention&);
  /// Whether the backward pass reads the output.
  bool (*attention_keeps_output)(const Attention&);
  std::size_t (*attention_statistics)(const Attention&);
  std::size_t (*attention_workspace)(const Attention&, bool backward);
  Status (*attention_forward)(const Attention&, const AttentionBuffers&, Stream);
  Status (*attention_backward)(const Attention&, const AttentionBuffers&, Stream);

  bool (*takes_group_norm)(const GroupNorm&);
  std::size_t (*group_norm_workspace)(const GroupNorm&);
  Status (*group_norm_forward)(const GroupNorm&, const GroupNormBuffers&, Stream);
  Status (*group_norm_backward)(const GroupNorm&, const GroupNormBuffers&, Stream);

  bool (*takes_layer_norm)(const LayerNorm&);
  /// statistics [rows, 2]: mean and inverse deviation for the backward pass, or null.
  Status (*layer_norm_forward)(const LayerNorm&, const void* x, void* y, float* statistics, Stream);
  Status (*layer_norm_backward)(const LayerNorm&, const void* x, const float* statistics, const void* d_y,
                                void* d_x, Stream);
  /// stream_values [rows, width] float32 += added, then y = LayerNorm of it; added and y are of the element.
  Status (*add_layer_norm)(const LayerNorm&, float* stream_values, const void* added, void* y, Stream);
};

/// Raised whenever Functions or what it points to changes: a library of another version is not used.
constexpr int kFunctionsVersion = 1;
constexpr const char* kFunctionsSymbol = "diffit_cuda_functions";
/// The library's one symbol: null for another version.
using GetFunctions = const Functions* (*)(int version);

}  // namespace diffit::kernels::cuda
