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

/// The sum of a residual stream and a branch, and its LayerNorm, of rows of [rows, width].
struct ResidualNorm {
  std::int64_t rows;
  std::int32_t width;
  Element stream;  // of x, sum and their gradients
  Element branch;  // of branch, y and their gradients
  float eps;
};
struct ResidualNormBuffers {
  const void *x, *branch;  // branch: null, there is none; the sum is x
  void *sum, *y;           // sum: written by the forward pass if there is a branch, read by the backward pass
  float* statistics;       // [rows, 2], written by the forward pass: mean and inverse deviation
  const void *d_sum = nullptr, *d_y = nullptr;  // d_sum: null is zero
  void *d_x = nullptr, *d_branch = nullptr;     // d_branch: null, not wanted
};

/// Sums of the columns of [rows, columns], in float32.
struct ColumnSum {
  std::int64_t rows;
  std::int32_t columns;
  Element element;
};

/// Standard normal numbers [rows, numbers]: row i of stream `stream` | (first + i).
struct Noise {
  std::int64_t numbers;
  std::int32_t rows, shift;          // shift: 1 if the first number is the second one of its pair
  std::uint64_t seed, stream, word;  // word: of the stream, where the first pair begins
};

/// Adam, or AdamW where decoupled, with exponential moving averages of the weights.
constexpr int kMaxAverages = 8;
constexpr std::int64_t kOptimizerChunk = 16384;  // numbers of a piece
/// One parameter. All pointers are to float32 of one memory layout.
struct OptimizerTensor {
  float *weight, *first, *second;
  const float* gradient;
  float* average[kMaxAverages];
  std::int64_t size;
  float weight_decay;
  bool aligned;  // every pointer is a multiple of 16
};
/// Numbers first .. first + kOptimizerChunk - 1 of a tensor, as far as there are any.
struct OptimizerPiece {
  std::int64_t first;
  std::int32_t tensor;
};
struct OptimizerStep {
  std::int32_t pieces, averages;
  bool decoupled;
  float eps, clip;  // clip: largest norm of all gradients, 0: any
  double beta1, beta2;
};
/// All in device memory.
struct OptimizerBuffers {
  const OptimizerTensor* tensors;
  const OptimizerPiece* pieces;
  const float* rates;     // [1 + averages]: learning rate; then 1 - beta of each average
  const float* loss;      // the step's
  float* result;          // [3], written: loss, norm of the gradients before clipping, 1 if skipped else 0
  std::int64_t* updates;  // number of updates, raised by one if not skipped
  void* workspace;        // optimizer_workspace bytes, 256-byte aligned
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

  bool (*takes_residual_norm)(const ResidualNorm&);
  Status (*residual_norm_forward)(const ResidualNorm&, const ResidualNormBuffers&, Stream);
  Status (*residual_norm_backward)(const ResidualNorm&, const ResidualNormBuffers&, Stream);

  bool (*takes_column_sum)(const ColumnSum&);
  /// In floats.
  std::size_t (*column_sum_workspace)(const ColumnSum&);
  Status (*column_sum)(const ColumnSum&, const void* x, float* out, float* workspace, Stream);

  /// Multiplied by scale [rows] unless it is null.
  Status (*fill_noise)(const Noise&, const std::int64_t* first, const float* scale, float* out, Stream);

  /// Computes the norm of all gradients, then updates weights, moments and averages, unless the loss or the
  /// norm is not finite: then nothing is changed (the step is skipped).
  std::size_t (*optimizer_workspace)(const OptimizerStep&);
  Status (*optimizer_update)(const OptimizerStep&, const OptimizerBuffers&, Stream);
};

/// Raised whenever Functions or what it points to changes: a library of another version is not used.
constexpr int kFunctionsVersion = 2;
constexpr const char* kFunctionsSymbol = "diffit_cuda_functions";
/// The library's one symbol: null for another version.
using GetFunctions = const Functions* (*)(int version);

}  // namespace diffit::kernels::cuda
