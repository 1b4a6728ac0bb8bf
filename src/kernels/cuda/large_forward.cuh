// The forward pass of large_tile.cuh's windows.
#pragma once
#include "kernels/cuda/large_tile.cuh"

namespace diffit::kernels::cuda {

template <int D, int W>
constexpr size_t large_forward_bytes() {
  return 4 * tile_bytes<D>() + table_floats<W>() * 4;
}

/// The table, by head, scaled, in both directions: [heads][2][v][u], entry of column - row = (v, u) - (W -
/// 1). Direction 0: rows are queries; 1: rows are keys.
template <int W>
__global__ void prepare_table(const float* table, float* bias, int heads, float factor) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y, direction = blockIdx.z;
  if (i >= table_floats<W>()) return;
  const int v = i / (2 * W), u = i % (2 * W), last = 2 * (W - 1);
  float x = 0;
  if (u <= last)
    x = table[((direction ? v : last - v) * (2 * W - 1) + (direction ? u : last - u)) * heads + h] * factor;
  bias[(h * 2 + direction) * table_floats<W>() + i] = x;
}

/// Block: 128 queries of a head, 4 warps of 32. Grid: (N/128, heads, windows).
template <int D, int W, int KC, int BLOCKS>
__global__ void __launch_bounds__(128, BLOCKS) large_attention_forward(const Large p) {
  constexpr int N = W * W, NB = KC / 8, TILES = N / kTile;
  using Bias = Diagonals<W, 4, NB>;
  DIFFIT_SHARED(memory);
  bf16* const tiles = reinterpret_cast<bf16*>(memory);  // K0 V0 K1 V1
  float* const table = reinterpret_cast<float*>(memory + 4 * tile_bytes<D>());
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int h = blockIdx.y, b = blockIdx.z, i0 = blockIdx.x * 128 + warp * 32, C = p.heads * D;
  const size_t stride = 3 * C, line = stride * p.map_width;
  const LargePlace place = place_of_window<W>(p, b);
  const bf16* const map = p.qkv + place.token * stride + h * D;
  const bf16* const time = p.qkv_t + static_cast<size_t>(place.sample) * 3 * C + h * D;
  const float c = kLog2e / sqrtf(static_cast<float>(D));

  copy_floats<128>(table, p.bias + h * 2 * table_floats<W>(), table_floats<W>());
  copy_tile<D, W, kTile, 128>(tiles, map + C, stride, line);
  copy_tile<D, W, kTile, 128>(tiles + kTile * Tile<D>::row, map + 2 * C, stride, line);
  cp_commit();

  Rows<D> q[2];
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    load_rows<D>(q[m], map + token_in_map<W>(p, i0 + 16 * m) * stride, stride, g, t);
    add_to_rows<D>(q[m], time, t);
  }
  float o[2][D / 8][4] = {}, l[2][4] = {}, top[2][2];
#pragma unroll
  for (int m = 0; m < 2; ++m) top[m][0] = top[m][1] = -INFINITY;
  const Lanes<D> lanes(lane);
  const float* const row_table = table + table_of_row<W>(i0, g, t);
  const uint32_t tiles_at = shared_address(tiles);

  for (int tile = 0; tile < TILES; ++tile) {
    cp_wait<0>();
    sync_block();  // this tile has come, and every warp is done with the one before
    if (tile + 1 < TILES) {
      bf16* const next = tiles + ((tile + 1) & 1) * 2 * kTile * Tile<D>::row;
      const bf16* const from = map + token_in_map<W>(p, (tile + 1) * kTile) * stride;
      copy_tile<D, W, kTile, 128>(next, from + C, stride, line);
      copy_tile<D, W, kTile, 128>(next + kTile * Tile<D>::row, from + 2 * C, stride, line);
      cp_commit();
    }
    const uint32_t k_at = tiles_at + (tile & 1) * 2 * tile_bytes<D>(), v_at = k_at + tile_bytes<D>();
#pragma unroll 1
    for (int chunk = 0; chunk < kTile; chunk += KC) {
      float s[2][NB][4];
      {
        float bias[Bias::count][2];
        load_bias<W, 4, NB>(bias, row_table + table_of_column<W>(tile * kTile + chunk));
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int n = 0; n < NB; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) s[m][n][i] = bias[Bias::group(2 * m + i / 2, n)][i % 2];
      }
      multiply_by_rows<D, 2, NB>(s, q, k_at + chunk * Tile<D>::row * 2, lanes);
      // The maximum of a row is renewed only when a score exceeds it by more than 8 powers of two.
      float high[2][2];
      bool grows = false;
#pragma unroll
      for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          float x = s[m][0][2 * r];
#pragma unroll
          for (int n = 0; n < NB; ++n) x = fmaxf(x, fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
          high[m][r] = x * c;
          grows = grows || high[m][r] > top[m][r] + 8;
        }
      if (warp_any(grows)) {
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const float now = fmaxf(top[m][r], quad_max(high[m][r])), factor = ex2(top[m][r] - now);
            top[m][r] = now;
            l[m][2 * r] *= factor, l[m][2 * r + 1] *= factor;
#pragma unroll
            for (int n = 0; n < D / 8; ++n) o[m][n][2 * r] *= factor, o[m][n][2 * r + 1] *= factor;
          }
      }
      uint32_t probability[2][NB / 2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int n = 0; n < NB; ++n)
#pragma unroll
          for (int i = 0; i < 4; ++i) s[m][n][i] = ex2(s[m][n][i] * c - top[m][i / 2]);
#pragma unroll
        for (int k = 0; k < NB / 2; ++k) {
          pack_block(probability[m][k], s[m][2 * k], s[m][2 * k + 1]);
          mma16(l[m], probability[m][k][0], probability[m][k][1], probability[m][k][2], probability[m][k][3],
                kOnes, kOnes);
        }
      }
      multiply_by_columns<D, 2, NB / 2>(o, probability, v_at + chunk * Tile<D>::row * 2, lanes);
    }
  }

  uint32_t v_t[D / 8];
#pragma unroll
  for (int n = 0; n < D / 8; ++n) v_t[n] = ld32(time + 2 * C + 8 * n + 2 * t);
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float inverse = 1 / l[m][2 * r];
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        o[m][n][2 * r] = o[m][n][2 * r] * inverse + low(v_t[n]);
        o[m][n][2 * r + 1] = o[m][n][2 * r + 1] * inverse + high(v_t[n]);
      }
      if (t == 0)
        p.lse[(static_cast<size_t>(b) * p.heads + h) * N + i0 + 16 * m + 8 * r + g] =
            top[m][r] + lg2(l[m][2 * r]);
    }
  sync_block();
  store_rows<D, W, 2>(tiles + warp * 32 * Tile<D>::row, o,
                      p.out + (place.token + token_in_map<W>(p, i0)) * C + h * D, C,
                      static_cast<size_t>(p.map_width) * C, lane);
}

}  // namespace diffit::kernels::cuda
