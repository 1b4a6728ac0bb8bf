// Attention in windows, w = 8: a block of 4 warps a window and head; warp i has rows 16i to 16i + 15 (map
// rows 2i and 2i + 1). Grid: a multiple of the heads. Fragments of the 8 blocks of 8 tokens lie in shared
// memory as they are used: [block][lane][D/8 registers].
#pragma once
#include "kernels/cuda/small_lane.cuh"

namespace diffit::kernels::cuda {

template <int D>
DIFFIT_DEVICE void share(uint32_t* to, int block, int lane, const uint32_t (&x)[D / 8]) {
  if constexpr (D == 16) {
    *reinterpret_cast<uint2*>(to + (block * 32 + lane) * 2) = uint2{x[0], x[1]};
  } else {
#pragma unroll
    for (int i = 0; i < D / 32; ++i)
      *reinterpret_cast<uint4*>(to + ((i * 8 + block) * 32 + lane) * 4) =
          uint4{x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]};
  }
}
template <int D>
DIFFIT_DEVICE void fetch(uint32_t (&x)[D / 8], const uint32_t* from, int block, int lane) {
  if constexpr (D == 16) {
    const uint2 a = *reinterpret_cast<const uint2*>(from + (block * 32 + lane) * 2);
    x[0] = a.x, x[1] = a.y;
  } else {
#pragma unroll
    for (int i = 0; i < D / 32; ++i) {
      const uint4 a = *reinterpret_cast<const uint4*>(from + ((i * 8 + block) * 32 + lane) * 4);
      x[4 * i] = a.x, x[4 * i + 1] = a.y, x[4 * i + 2] = a.z, x[4 * i + 3] = a.w;
    }
  }
}
template <int D>
DIFFIT_DEVICE void share_transposed(uint32_t* to, int block, int lane, const uint32_t (&x)[D / 8]) {
  uint32_t y[D / 8];
#pragma unroll
  for (int r = 0; r < D / 8; ++r) y[r] = transpose8x8(x[r]);
  share<D>(to, block, lane, y);
}
/// acc[16][D] += a[16][16 of 64 tokens, block pair kk] (transposed fragments of those tokens)
template <int D>
DIFFIT_DEVICE void multiply_tokens(float (&acc)[D / 8][4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                   const uint32_t* from, int kk, int lane) {
  uint32_t lo[D / 8], hi[D / 8];
  fetch<D>(lo, from, 2 * kk, lane), fetch<D>(hi, from, 2 * kk + 1, lane);
#pragma unroll
  for (int r = 0; r < D / 8; ++r) mma16(acc[r], a0, a1, a2, a3, lo[r], hi[r]);
}

/// The biases of a lane: [key map row - query map row within the warp + 1][e]; see group8.
template <int D>
DIFFIT_DEVICE void window8_bias(float (&bias)[9][2], const float* table, int heads, int head, int warp, int g,
                                int t) {
  const float factor = sqrtf(static_cast<float>(D));
#pragma unroll
  for (int i = 0; i < 9; ++i)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      bias[i][e] = table[((2 * warp + 1 - i + 7) * 15 + g - 2 * t - e + 7) * heads + head] * factor;
}
/// Rows half h (0: g, 1: g + 8) and key block n have difference 2 warp + h - n = 2 warp + 1 - group.
constexpr int group8(int h, int n) {
  return n - h + 1;
}

template <int D>
constexpr size_t window8_forward_bytes() {
  return 4 * 64 * D * 2;
}

template <int D, int BLOCKS>
__global__ void __launch_bounds__(128, BLOCKS) window8_forward(const Windows p) {
  constexpr int R = D / 8, WORDS = 64 * D / 2;
  DIFFIT_SHARED(memory);
  uint32_t* const shared = reinterpret_cast<uint32_t*>(memory);  // [2][K, V transposed]
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4, C = p.heads * D;
  const int head = blockIdx.x % p.heads;
  const float c = kLog2e / sqrtf(static_cast<float>(D));
  float bias[9][2];
  window8_bias<D>(bias, p.table, p.heads, head, warp, g, t);
  int turn = 0;
  for (int window = blockIdx.x / p.heads; window < p.units; window += gridDim.x / p.heads, turn ^= 1) {
    uint32_t *const ks = shared + turn * 2 * WORDS, *const vs = ks + WORDS;
    const Place at = place_of<8>(p, window);
    const size_t token = (static_cast<size_t>(at.batch) * p.height + at.y + 2 * warp) * p.width + at.x + g;
    const size_t token8 = token + p.width;
    const bf16 *lo = p.qkv + token * 3 * C + head * D, *hi = p.qkv + token8 * 3 * C + head * D;
    const bf16* const time = p.qkv_t + static_cast<size_t>(at.batch) * 3 * C + head * D;
    uint32_t q[2][R], k[2][R], v[2][R], q_t[R], v_t[R];
    load_lane<D>(k[0], lo + C, t), load_lane<D>(k[1], hi + C, t);
    load_lane<D>(v[0], lo + 2 * C, t), load_lane<D>(v[1], hi + 2 * C, t);
    load_lane<D>(q[0], lo, t), load_lane<D>(q[1], hi, t);
    load_lane<D>(q_t, time, t), load_lane<D>(v_t, time + 2 * C, t);
#pragma unroll
    for (int h = 0; h < 2; ++h)
      share<D>(ks, 2 * warp + h, lane, k[h]), share_transposed<D>(vs, 2 * warp + h, lane, v[h]);
    add_lane<D>(q[0], q_t), add_lane<D>(q[1], q_t);
    sync_block();  // the one barrier a window: the other pair of buffers is written next
    float s[8][4], o[R][4];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = bias[group8(i / 2, n)][i % 2];
      uint32_t b[R];
      fetch<D>(b, ks, n, lane);
      multiply<D>(s[n], q[0], q[1], b);
    }
    softmax<8>(s, c);
#pragma unroll
    for (int r = 0; r < R; ++r) o[r][0] = o[r][2] = low(v_t[r]), o[r][1] = o[r][3] = high(v_t[r]);
#pragma unroll
    for (int kk = 0; kk < 4; ++kk)
      multiply_tokens<D>(o, pack(s[2 * kk][0], s[2 * kk][1]), pack(s[2 * kk][2], s[2 * kk][3]),
                         pack(s[2 * kk + 1][0], s[2 * kk + 1][1]), pack(s[2 * kk + 1][2], s[2 * kk + 1][3]),
                         vs, kk, lane);
    store_result<D>(p.out + token * C + head * D, p.out + token8 * C + head * D, o, 1.f, t);
  }
}

constexpr int kPairRow = 72;  // elements a row of the 64 x 64 matrices P and dS in shared memory
template <int D>
constexpr size_t window8_backward_bytes() {
  return 5 * 64 * D * 2 + 2 * 64 * kPairRow * 2 + 8 * D * 4;
}

template <int D, int BLOCKS>
__global__ void __launch_bounds__(128, BLOCKS) window8_backward(const Windows p) {
  constexpr int R = D / 8, WORDS = 64 * D / 2;
  DIFFIT_SHARED(memory);
  uint32_t *const ks = reinterpret_cast<uint32_t*>(memory), *const vs = ks + WORDS, *const kt = vs + WORDS,
                  *const qt = kt + WORDS, *const ot = qt + WORDS;
  bf16 *const ps = reinterpret_cast<bf16*>(ot + WORDS), *const dss = ps + 64 * kPairRow;
  float* const columns = reinterpret_cast<float*>(dss + 64 * kPairRow);  // [4 warps][2][D]
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4, C = p.heads * D;
  const int head = blockIdx.x % p.heads;
  const float scale = 1 / sqrtf(static_cast<float>(D)), c = kLog2e * scale;
  float bias[9][2], sums[9][2] = {};
  window8_bias<D>(bias, p.table, p.heads, head, warp, g, t);
  // ldmatrix.trans of a 64 x 64 matrix: its column block `warp` (16 keys) as rows of the A operand
  const uint32_t pair_lane =
      (((lane >> 4) * 8 + (lane & 7)) * kPairRow + 16 * warp + ((lane >> 3) & 1) * 8) * 2;
  const uint32_t ps_at = shared_address(ps) + pair_lane, dss_at = shared_address(dss) + pair_lane;
  for (int window = blockIdx.x / p.heads; window < p.units; window += gridDim.x / p.heads) {
    const Place at = place_of<8>(p, window);
    const size_t token = (static_cast<size_t>(at.batch) * p.height + at.y + 2 * warp) * p.width + at.x + g;
    const size_t token8 = token + p.width;
    const size_t lo = token * 3 * C + head * D, hi = token8 * 3 * C + head * D;
    uint32_t q[2][R], o[2][R];
    {
      uint32_t k[2][R], v[2][R], q_t[R];
      load_lane<D>(k[0], p.qkv + lo + C, t), load_lane<D>(k[1], p.qkv + hi + C, t);
      load_lane<D>(v[0], p.qkv + lo + 2 * C, t), load_lane<D>(v[1], p.qkv + hi + 2 * C, t);
      load_lane<D>(q[0], p.qkv + lo, t), load_lane<D>(q[1], p.qkv + hi, t);
      load_lane<D>(o[0], p.d_out + token * C + head * D, t),
          load_lane<D>(o[1], p.d_out + token8 * C + head * D, t);
      load_lane<D>(q_t, p.qkv_t + static_cast<size_t>(at.batch) * 3 * C + head * D, t);
      add_lane<D>(q[0], q_t), add_lane<D>(q[1], q_t);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int block = 2 * warp + h;
        share<D>(ks, block, lane, k[h]), share<D>(vs, block, lane, v[h]);
        share_transposed<D>(kt, block, lane, k[h]), share_transposed<D>(qt, block, lane, q[h]),
            share_transposed<D>(ot, block, lane, o[h]);
      }
      float sum[2 * R];
#pragma unroll
      for (int r = 0; r < R; ++r)
        sum[2 * r] = low(o[0][r]) + low(o[1][r]), sum[2 * r + 1] = high(o[0][r]) + high(o[1][r]);
      sum_over_rows<2 * R>(sum, lane);
      write_row_sums<D>(columns + (warp * 2 + 1) * D, sum, g, t);
    }
    sync_block();
    float s[8][4], ds[8][4];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = bias[group8(i / 2, n)][i % 2];
      uint32_t b[R];
      fetch<D>(b, ks, n, lane);
      multiply<D>(s[n], q[0], q[1], b);
    }
    softmax<8>(s, c);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      ds[n][0] = ds[n][1] = ds[n][2] = ds[n][3] = 0;
      uint32_t b[R];
      fetch<D>(b, vs, n, lane);
      multiply<D>(ds[n], o[0], o[1], b);
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float delta = 0;
#pragma unroll
      for (int n = 0; n < 8; ++n) delta += s[n][2 * r] * ds[n][2 * r] + s[n][2 * r + 1] * ds[n][2 * r + 1];
      delta = quad_sum(delta);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          ds[n][2 * r + e] = s[n][2 * r + e] * (ds[n][2 * r + e] - delta);
          sums[group8(r, n)][e] += ds[n][2 * r + e];
        }
        const int row = 16 * warp + 8 * r + g, column = 8 * n + 2 * t;
        *reinterpret_cast<uint32_t*>(ps + row * kPairRow + column) = pack(s[n][2 * r], s[n][2 * r + 1]);
        *reinterpret_cast<uint32_t*>(dss + row * kPairRow + column) = pack(ds[n][2 * r], ds[n][2 * r + 1]);
      }
    }
    float x[R][4] = {};
#pragma unroll
    for (int kk = 0; kk < 4; ++kk)
      multiply_tokens<D>(x, pack(ds[2 * kk][0], ds[2 * kk][1]), pack(ds[2 * kk][2], ds[2 * kk][3]),
                         pack(ds[2 * kk + 1][0], ds[2 * kk + 1][1]),
                         pack(ds[2 * kk + 1][2], ds[2 * kk + 1][3]), kt, kk, lane);
    store_result<D>(p.d_qkv + lo, p.d_qkv + hi, x, scale, t);
    {
      float sum[2 * R];
#pragma unroll
      for (int r = 0; r < R; ++r)
        sum[2 * r] = scale * (x[r][0] + x[r][2]), sum[2 * r + 1] = scale * (x[r][1] + x[r][3]);
      sum_over_rows<2 * R>(sum, lane);
      write_row_sums<D>(columns + warp * 2 * D, sum, g, t);
    }
    sync_block();
    for (int i = threadIdx.x; i < 2 * D; i += 128) {
      float total = 0;
      for (int w = 0; w < 4; ++w) total += columns[w * 2 * D + i];
      p.part_t[(static_cast<size_t>(window) * 2 + i / D) * C + head * D + i % D] = total;
    }
#pragma unroll
    for (int pass = 0; pass < 2; ++pass) {  // d_v = P^T d_out, d_k = dS^T q
      float y[R][4] = {};
#pragma unroll
      for (int kk = 0; kk < 4; ++kk) {
        uint32_t a[4];
        ldsm4t(a, (pass ? dss_at : ps_at) + kk * 16 * kPairRow * 2);
        multiply_tokens<D>(y, a[0], a[1], a[2], a[3], pass ? qt : ot, kk, lane);
      }
      const int part = pass ? C : 2 * C;
      store_result<D>(p.d_qkv + lo + part, p.d_qkv + hi + part, y, pass ? scale : 1.f, t);
    }
    sync_block();  // before the next window's fragments
  }
  // [4 warps][9][2][32 lanes] to the 225 entries.
  float* const all = reinterpret_cast<float*>(memory);
#pragma unroll
  for (int i = 0; i < 9; ++i)
#pragma unroll
    for (int e = 0; e < 2; ++e) all[((warp * 9 + i) * 2 + e) * 32 + lane] = sums[i][e];
  sync_block();
  for (int entry = threadIdx.x; entry < 225; entry += 128) {
    const int dy = entry / 15 - 7, dx = entry % 15 - 7;  // query - key
    float x = 0;
    for (int w = 0; w < 4; ++w) {
      const int i = 2 * w + 1 - dy;
      if (i < 0 || i > 8) continue;
      for (int row = 0; row < 8; ++row) {
        const int column = row - dx;
        if (column >= 0 && column < 8) x += all[((w * 9 + i) * 2 + column % 2) * 32 + row * 4 + column / 2];
      }
    }
    p.part_table[blockIdx.x * 225 + entry] = x;
  }
}

}  // namespace diffit::kernels::cuda
