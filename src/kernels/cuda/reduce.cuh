// Sums over the parts that blocks leave behind, in fixed order.
#pragma once
#include "kernels/cuda/device.cuh"

namespace diffit::kernels::cuda {

/// d_qkv_t from the sums over parts of the tokens. Grid: (3C / 128 rounded up, B).
template <int>
__global__ void reduce_time(const float* part, float* d_qkv_t, int parts, int C) {
  const int i = blockIdx.x * 128 + threadIdx.x, b = blockIdx.y;
  if (i >= 3 * C) return;
  float x = 0;
  if (i < C || i >= 2 * C) {
    const float* from = part + static_cast<size_t>(b) * parts * 2 * C + (i < C ? i : i - C);
#pragma unroll 8
    for (int k = 0; k < parts; ++k) x += from[static_cast<size_t>(k) * 2 * C];
  }
  d_qkv_t[static_cast<size_t>(b) * 3 * C + i] = x;
}

/// d_table from `rows` partial tables [rows][entries], of head row % heads. Grid: (entries, heads), 128
/// threads.
template <int>
__global__ void reduce_table_windows(const float* part, float* d_table, int rows, int entries, int heads) {
  DIFFIT_SHARED(memory);
  float* const sum = reinterpret_cast<float*>(memory);
  const int entry = blockIdx.x, head = blockIdx.y;
  float x = 0;
  for (int row = head + heads * static_cast<int>(threadIdx.x); row < rows; row += heads * 128)
    x += part[static_cast<size_t>(row) * entries + entry];
  sum[threadIdx.x] = x;
  for (int half = 64; half; half /= 2) {
    sync_block();
    if (static_cast<int>(threadIdx.x) < half) sum[threadIdx.x] += sum[threadIdx.x + half];
  }
  if (threadIdx.x == 0) d_table[entry * heads + head] = sum[0];
}

}  // namespace diffit::kernels::cuda
