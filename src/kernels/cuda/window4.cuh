// Attention in windows, w = 4: a warp a window and head, everything in registers. Grid: 4 warps a block,
// warps a multiple of the heads.
#pragma once
#include "kernels/cuda/small_lane.cuh"

namespace diffit::kernels::cuda {

template <int D>
DIFFIT_DEVICE void window4_bias(float (&bias)[2][4], const float* table, int heads, int head, int g, int t) {
  const float factor = sqrtf(static_cast<float>(D));
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = g + i / 2 * 8, column = 8 * n + 2 * t + i % 2;
      bias[n][i] = table[((row / 4 - column / 4 + 3) * 7 + row % 4 - column % 4 + 3) * heads + head] * factor;
    }
}

template <int D, int BLOCKS>
__global__ void __launch_bounds__(128, BLOCKS) window4_forward(const Windows p) {
  constexpr int R = D / 8;
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, C = p.heads * D;
  const int first = blockIdx.x * 4 + threadIdx.x / 32, total = gridDim.x * 4, head = first % p.heads;
  const float c = kLog2e / sqrtf(static_cast<float>(D));
  float bias[2][4];
  window4_bias<D>(bias, p.table, p.heads, head, g, t);
  for (int window = first / p.heads; window < p.units; window += total / p.heads) {
    const Place at = place_of<4>(p, window);
    const size_t token = (static_cast<size_t>(at.batch) * p.height + at.y + g / 4) * p.width + at.x + g % 4;
    const size_t token8 = token + 2 * p.width;
    const bf16 *lo = p.qkv + token * 3 * C + head * D, *hi = p.qkv + token8 * 3 * C + head * D;
    const bf16* const time = p.qkv_t + static_cast<size_t>(at.batch) * 3 * C + head * D;
    uint32_t q[2][R], k[2][R], v[2][R], q_t[R], v_t[R];
    load_lane<D>(q[0], lo, t), load_lane<D>(q[1], hi, t);
    load_lane<D>(k[0], lo + C, t), load_lane<D>(k[1], hi + C, t);
    load_lane<D>(v[0], lo + 2 * C, t), load_lane<D>(v[1], hi + 2 * C, t);
    load_lane<D>(q_t, time, t), load_lane<D>(v_t, time + 2 * C, t);
    add_lane<D>(q[0], q_t), add_lane<D>(q[1], q_t);
    float s[2][4], o[R][4];
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = bias[n][i];
      multiply<D>(s[n], q[0], q[1], k[n]);
    }
    softmax<2>(s, c);
    const uint32_t a[4] = {pack(s[0][0], s[0][1]), pack(s[0][2], s[0][3]), pack(s[1][0], s[1][1]),
                           pack(s[1][2], s[1][3])};
#pragma unroll
    for (int r = 0; r < R; ++r) {
      o[r][0] = o[r][2] = low(v_t[r]), o[r][1] = o[r][3] = high(v_t[r]);
      mma16(o[r], a[0], a[1], a[2], a[3], transpose8x8(v[0][r]), transpose8x8(v[1][r]));
    }
    store_result<D>(p.out + token * C + head * D, p.out + token8 * C + head * D, o, 1.f, t);
  }
}

/// SEG: windows of a sample, one after the other, whose sums for d_qkv_t are written together.
template <int D, int SEG, int BLOCKS>
__global__ void __launch_bounds__(128, BLOCKS) window4_backward(const Windows p) {
  constexpr int R = D / 8;
  DIFFIT_SHARED(memory);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4, C = p.heads * D;
  const int first = blockIdx.x * 4 + warp, total = gridDim.x * 4, head = first % p.heads;
  const float scale = 1 / sqrtf(static_cast<float>(D)), c = kLog2e * scale;
  float bias[2][4], sums[2][4] = {};
  window4_bias<D>(bias, p.table, p.heads, head, g, t);
  for (int unit = first / p.heads; unit < p.units; unit += total / p.heads) {
    float q_sum[2 * R] = {}, v_sum[2 * R] = {};
#pragma unroll 1
    for (int i = 0; i < SEG; ++i) {
      const Place at = place_of<4>(p, unit * SEG + i);
      const size_t token = (static_cast<size_t>(at.batch) * p.height + at.y + g / 4) * p.width + at.x + g % 4;
      const size_t token8 = token + 2 * p.width;
      const size_t lo = token * 3 * C + head * D, hi = token8 * 3 * C + head * D;
      uint32_t q[2][R], k[2][R], v[2][R], o[2][R], q_t[R];
      load_lane<D>(q[0], p.qkv + lo, t), load_lane<D>(q[1], p.qkv + hi, t);
      load_lane<D>(k[0], p.qkv + lo + C, t), load_lane<D>(k[1], p.qkv + hi + C, t);
      load_lane<D>(v[0], p.qkv + lo + 2 * C, t), load_lane<D>(v[1], p.qkv + hi + 2 * C, t);
      load_lane<D>(o[0], p.d_out + token * C + head * D, t),
          load_lane<D>(o[1], p.d_out + token8 * C + head * D, t);
      load_lane<D>(q_t, p.qkv_t + static_cast<size_t>(at.batch) * 3 * C + head * D, t);
      add_lane<D>(q[0], q_t), add_lane<D>(q[1], q_t);
      float s[2][4], ds[2][4] = {};
#pragma unroll
      for (int n = 0; n < 2; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) s[n][e] = bias[n][e];
        multiply<D>(s[n], q[0], q[1], k[n]);
        multiply<D>(ds[n], o[0], o[1], v[n]);
      }
      softmax<2>(s, c);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float delta = quad_sum(s[0][2 * r] * ds[0][2 * r] + s[0][2 * r + 1] * ds[0][2 * r + 1] +
                                     s[1][2 * r] * ds[1][2 * r] + s[1][2 * r + 1] * ds[1][2 * r + 1]);
#pragma unroll
        for (int n = 0; n < 2; ++n)
#pragma unroll
          for (int e = 2 * r; e < 2 * r + 2; ++e) {
            ds[n][e] = s[n][e] * (ds[n][e] - delta);
            sums[n][e] += ds[n][e];
          }
      }
      const uint32_t a[4] = {pack(s[0][0], s[0][1]), pack(s[0][2], s[0][3]), pack(s[1][0], s[1][1]),
                             pack(s[1][2], s[1][3])};
      const uint32_t d[4] = {pack(ds[0][0], ds[0][1]), pack(ds[0][2], ds[0][3]), pack(ds[1][0], ds[1][1]),
                             pack(ds[1][2], ds[1][3])};
      // Transposed: blocks (keys 0-7, queries 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15).
      const uint32_t at4[4] = {transpose8x8(a[0]), transpose8x8(a[2]), transpose8x8(a[1]),
                               transpose8x8(a[3])};
      const uint32_t dt4[4] = {transpose8x8(d[0]), transpose8x8(d[2]), transpose8x8(d[1]),
                               transpose8x8(d[3])};
      float x[R][4];
#pragma unroll
      for (int r = 0; r < R; ++r) {
        x[r][0] = x[r][1] = x[r][2] = x[r][3] = 0;
        mma16(x[r], d[0], d[1], d[2], d[3], transpose8x8(k[0][r]), transpose8x8(k[1][r]));
        q_sum[2 * r] += x[r][0] + x[r][2], q_sum[2 * r + 1] += x[r][1] + x[r][3];
        v_sum[2 * r] += low(o[0][r]) + low(o[1][r]), v_sum[2 * r + 1] += high(o[0][r]) + high(o[1][r]);
      }
      store_result<D>(p.d_qkv + lo, p.d_qkv + hi, x, scale, t);
#pragma unroll
      for (int r = 0; r < R; ++r) {
        x[r][0] = x[r][1] = x[r][2] = x[r][3] = 0;
        mma16(x[r], dt4[0], dt4[1], dt4[2], dt4[3], transpose8x8(q[0][r]), transpose8x8(q[1][r]));
      }
      store_result<D>(p.d_qkv + lo + C, p.d_qkv + hi + C, x, scale, t);
#pragma unroll
      for (int r = 0; r < R; ++r) {
        x[r][0] = x[r][1] = x[r][2] = x[r][3] = 0;
        mma16(x[r], at4[0], at4[1], at4[2], at4[3], transpose8x8(o[0][r]), transpose8x8(o[1][r]));
      }
      store_result<D>(p.d_qkv + lo + 2 * C, p.d_qkv + hi + 2 * C, x, 1.f, t);
    }
#pragma unroll
    for (int i = 0; i < 2 * R; ++i) q_sum[i] *= scale;
    sum_over_rows<2 * R>(q_sum, lane), sum_over_rows<2 * R>(v_sum, lane);
    float* const to = p.part_t + static_cast<size_t>(unit) * 2 * C + head * D;
    write_row_sums<D>(to, q_sum, g, t), write_row_sums<D>(to + C, v_sum, g, t);
  }
  // The 16 x 16 sums of the scores' gradients to the 49 entries of the table.
  float* const all = reinterpret_cast<float*>(memory) + warp * 256;
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) all[(g + e / 2 * 8) * 16 + 8 * n + 2 * t + e % 2] = sums[n][e];
  sync_warp();
  for (int entry = lane; entry < 49; entry += 32) {
    const int dy = entry / 7 - 3, dx = entry % 7 - 3;  // query - key
    float x = 0;
    for (int y = 0; y < 4; ++y)
      for (int z = 0; z < 4; ++z)
        if (y - dy >= 0 && y - dy < 4 && z - dx >= 0 && z - dx < 4)
          x += all[(y * 4 + z) * 16 + (y - dy) * 4 + z - dx];
    p.part_table[first * 49 + entry] = x;
  }
}

}  // namespace diffit::kernels::cuda
