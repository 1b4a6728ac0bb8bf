// The backward pass of large_tile.cuh's windows: one kernel for d_q and what is summed with it, one for d_k
// and d_v, and one that adds the parts of the bias table's gradient.
#pragma once
#include "kernels/cuda/large_tile.cuh"

namespace diffit::kernels::cuda {

/// Rows of differences (key row - query row) that 32 and 128 queries see.
template <int W>
constexpr int warp_rows() {
  return W + 32 / W - 1;
}
template <int W>
constexpr int block_rows() {
  return W + 128 / W - 1;
}

/// v: sums of the scores' gradients on the 8 x 8 diagonals of 32 queries x 32 keys, spread over the lanes,
/// which are added up along the diagonals and to `rows` (of 2W floats: index key x - query x + W). Each lane
/// adds to addresses of its own, so the order is fixed.
template <int W>
DIFFIT_DEVICE void fold_diagonals(const float (&v)[Diagonals<W, 4, 4>::count][2], float* rows, int lane) {
  constexpr int gx = Diagonals<W, 4, 4>::gx, gy = Diagonals<W, 4, 4>::gy;
  const int g = lane / 4, t = lane % 4;
  const bool below0 = 2 * t < g, below1 = 2 * t + 1 < g, b0 = t & 1, b1 = t >> 1;
  const int across0 = ((g + 2 * ((t ^ 1) - t)) & 7) * 4 + (t ^ 1),
            across1 = ((g + 2 * ((t ^ 2) - t)) & 7) * 4 + (t ^ 2);
#pragma unroll
  for (int a = 0; a < gy; ++a)
#pragma unroll
    for (int q = 0; q < (gx + 1) / 4; ++q) {
      float x[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int s = 4 * q + i;
        const float here0 = s < gx ? v[a * gx + (s < gx ? s : 0)][0] : 0.f,
                    before0 = s > 0 ? v[a * gx + (s > 0 ? s - 1 : 0)][0] : 0.f;
        const float here1 = s < gx ? v[a * gx + (s < gx ? s : 0)][1] : 0.f,
                    before1 = s > 0 ? v[a * gx + (s > 0 ? s - 1 : 0)][1] : 0.f;
        x[i] = (below0 ? here0 : before0) + shuffle(below1 ? here1 : before1, (lane + 4) & 31);
      }
      const float y0 = (b0 ? x[2] : x[0]) + shuffle(b0 ? x[0] : x[2], across0);
      const float y1 = (b0 ? x[3] : x[1]) + shuffle(b0 ? x[1] : x[3], across0);
      const float z = (b1 ? y1 : y0) + shuffle(b1 ? y0 : y1, across1);
      rows[a * 2 * W + 32 * q + 8 * (2 * b0 + b1) + ((2 * t - g) & 7)] += z;
    }
}

template <int D, int W>
constexpr size_t large_backward_q_bytes() {
  return 4 * tile_bytes<D>() + table_floats<W>() * 4 + 4 * warp_rows<W>() * 2 * W * 4;
}

/// d_q, D, and the parts of d_table and d_qkv_t. Block: 128 queries of a head, 4 warps of 32. Grid: (N/128,
/// heads, windows).
template <int D, int W, int BLOCKS>
__global__ void __launch_bounds__(128, BLOCKS) large_backward_q(const Large p) {
  constexpr int N = W * W, TILES = N / kTile;
  using Bias = Diagonals<W, 4, 2>;
  using Sums = Diagonals<W, 4, 4>;
  DIFFIT_SHARED(memory);
  bf16* const tiles = reinterpret_cast<bf16*>(memory);  // K0 V0 K1 V1
  float* const table = reinterpret_cast<float*>(memory + 4 * tile_bytes<D>());
  float* const sums = table + table_floats<W>();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int h = blockIdx.y, b = blockIdx.z, i0 = blockIdx.x * 128 + warp * 32, C = p.heads * D;
  const size_t stride = 3 * C, line = stride * p.map_width;
  const LargePlace place = place_of_window<W>(p, b);
  const bf16* const map = p.qkv + place.token * stride + h * D;
  const bf16* const time = p.qkv_t + static_cast<size_t>(place.sample) * 3 * C + h * D;
  const float scale = 1 / sqrtf(static_cast<float>(D)), c = kLog2e * scale;

  copy_floats<128>(table, p.bias + h * 2 * table_floats<W>(), table_floats<W>());
  copy_tile<D, W, kTile, 128>(tiles, map + C, stride, line);
  copy_tile<D, W, kTile, 128>(tiles + kTile * Tile<D>::row, map + 2 * C, stride, line);
  cp_commit();
  for (int i = threadIdx.x; i < 4 * warp_rows<W>() * 2 * W; i += 128) sums[i] = 0;

  Rows<D> q[2], d_out[2];
  float lse[2][2], delta[2][2];
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    const size_t first = (place.token + token_in_map<W>(p, i0 + 16 * m)) * C + h * D;
    Rows<D> out;
    load_rows<D>(d_out[m], p.d_out + first, C, g, t);
    load_rows<D>(out, p.out + first, C, g, t);
    load_rows<D>(q[m], map + token_in_map<W>(p, i0 + 16 * m) * stride, stride, g, t);
    add_to_rows<D>(q[m], time, t);
    delta[m][0] = delta[m][1] = 0;
#pragma unroll
    for (int i = 0; i < static_cast<int>(sizeof(out.v) / 4); ++i) {
      const uint32_t v_t = ld32(time + 2 * C + channel_of<D>(i) + 2 * t);
      delta[m][half_of(i)] += low(d_out[m].v[i]) * (low(out.v[i]) - low(v_t)) +
                              high(d_out[m].v[i]) * (high(out.v[i]) - high(v_t));
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const size_t at = (static_cast<size_t>(b) * p.heads + h) * N + i0 + 16 * m + 8 * r + g;
      delta[m][r] = quad_sum(delta[m][r]);
      lse[m][r] = p.lse[at];
      if (t == 0) p.delta[at] = delta[m][r];
    }
  }
  {  // staged in the second pair of tiles, which is filled only behind the first barrier
    bf16* const stage = tiles + (2 * kTile + warp * 32) * Tile<D>::row;
    stage_rows<D>(stage, q[0], g, t), stage_rows<D>(stage + 16 * Tile<D>::row, q[1], g, t);
    copy_rows<D, W, 32>(stage, p.queries + (static_cast<size_t>(b) * N + i0) * C + h * D, C,
                        static_cast<size_t>(W) * C, lane);
  }
  float d_q[2][D / 8][4] = {};
  const Lanes<D> lanes(lane);
  const float* const row_table = table + table_of_row<W>(i0, g, t);
  float* const warp_sums = sums + warp * warp_rows<W>() * 2 * W;
  const uint32_t tiles_at = shared_address(tiles);

  for (int tile = 0; tile < TILES; ++tile) {
    cp_wait<0>();
    sync_block();
    if (tile + 1 < TILES) {
      bf16* const next = tiles + ((tile + 1) & 1) * 2 * kTile * Tile<D>::row;
      const bf16* const from = map + token_in_map<W>(p, (tile + 1) * kTile) * stride;
      copy_tile<D, W, kTile, 128>(next, from + C, stride, line);
      copy_tile<D, W, kTile, 128>(next + kTile * Tile<D>::row, from + 2 * C, stride, line);
      cp_commit();
    }
    const uint32_t k_at = tiles_at + (tile & 1) * 2 * tile_bytes<D>(), v_at = k_at + tile_bytes<D>();
#pragma unroll 1
    for (int chunk = 0; chunk < kTile; chunk += 32) {
      float diagonal[Sums::count][2] = {};
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        const int j0 = chunk + 16 * part;
        float s[2][2][4], ds[2][2][4] = {};
        {
          float bias[Bias::count][2];
          load_bias<W, 4, 2>(bias, row_table + table_of_column<W>(tile * kTile + j0));
#pragma unroll
          for (int m = 0; m < 2; ++m)
#pragma unroll
            for (int n = 0; n < 2; ++n)
#pragma unroll
              for (int i = 0; i < 4; ++i) s[m][n][i] = bias[Bias::group(2 * m + i / 2, n)][i % 2];
        }
        multiply_by_rows<D, 2, 2>(s, q, k_at + j0 * Tile<D>::row * 2, lanes);
        multiply_by_rows<D, 2, 2>(ds, d_out, v_at + j0 * Tile<D>::row * 2, lanes);
        uint32_t packed[2][1][4];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
#pragma unroll
          for (int n = 0; n < 2; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              ds[m][n][i] = ex2(s[m][n][i] * c - lse[m][i / 2]) * (ds[m][n][i] - delta[m][i / 2]);
              diagonal[Sums::group(2 * m + i / 2, 2 * part + n)][i % 2] += ds[m][n][i];
            }
          pack_block(packed[m][0], ds[m][0], ds[m][1]);
        }
        multiply_by_columns<D, 2, 1>(d_q, packed, k_at + j0 * Tile<D>::row * 2, lanes);
      }
      fold_diagonals<W>(diagonal, warp_sums + (tile * kTile + chunk) / W * 2 * W, lane);
    }
  }

  // Column sums over the warp's 32 queries, of d_q and d_out: lanes 0 to 3 get them.
  sync_block();
  float* const columns = table;  // [4 warps][2][D], the table is done with
#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      float x = 0;
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        d_q[m][n][e] *= scale, d_q[m][n][2 + e] *= scale;
        x += d_q[m][n][e] + d_q[m][n][2 + e];
      }
      x += shuffle_xor(x, 4), x += shuffle_xor(x, 8), x += shuffle_xor(x, 16);
      if (g == 0) columns[(warp * 2) * D + 8 * n + 2 * t + e] = x;
      float y = 0;
#pragma unroll
      for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const uint32_t v = d_out[m].v[n / 2 * 4 + (n / 2 < Tile<D>::k16 ? n % 2 * 2 : 0) + r];
          y += e ? high(v) : low(v);
        }
      y += shuffle_xor(y, 4), y += shuffle_xor(y, 8), y += shuffle_xor(y, 16);
      if (g == 0) columns[(warp * 2 + 1) * D + 8 * n + 2 * t + e] = y;
    }
  store_rows<D, W, 2>(tiles + warp * 32 * Tile<D>::row, d_q,
                      p.d_qkv + (place.token + token_in_map<W>(p, i0)) * stride + h * D, stride, line, lane);
  sync_block();
  const int parts = N / 128;
  for (int i = threadIdx.x; i < 2 * D; i += 128) {
    float x = 0;
    for (int w = 0; w < 4; ++w) x += columns[w * 2 * D + i];
    p.part_t[((static_cast<size_t>(b) * parts + blockIdx.x) * 2 + i / D) * C + h * D + i % D] = x;
  }
  float* const part =
      p.part_table + ((static_cast<size_t>(b) * p.heads + h) * parts + blockIdx.x) * block_rows<W>() * 2 * W;
  for (int i = threadIdx.x; i < block_rows<W>() * 2 * W; i += 128) {
    const int row = i / (2 * W), u = i % (2 * W);
    float x = 0;
    for (int w = 0; w < 4; ++w) {
      const int r = row - (128 / W - 1) + (32 / W - 1) + 32 / W * w;
      if (r >= 0 && r < warp_rows<W>()) x += sums[(w * warp_rows<W>() + r) * 2 * W + u];
    }
    part[i] = x;
  }
}

template <int D, int W>
constexpr size_t large_backward_kv_bytes() {
  return 4 * tile_bytes<D>() + 4 * kTile * 4 + table_floats<W>() * 4;
}

/// d_k and d_v. Block: 16 keys a warp of a head. Grid: (N / (16 warps), heads, windows). The queries are
/// those that _q wrote: were P recomputed of a q + q_t rounded otherwise than in the forward pass, it would
/// not fit the saved lse, which shows in d_k where scores are large.
template <int D, int W, int WARPS, int BLOCKS>
__global__ void __launch_bounds__(32 * WARPS, BLOCKS) large_backward_kv(const Large p) {
  constexpr int N = W * W, TILES = N / kTile, T = 32 * WARPS;
  using Bias = Diagonals<W, 2, 2>;
  DIFFIT_SHARED(memory);
  bf16* const tiles = reinterpret_cast<bf16*>(memory);  // Q0 G0 Q1 G1, G the gradient of the output
  float* const stats = reinterpret_cast<float*>(memory + 4 * tile_bytes<D>());  // lse0 delta0 lse1 delta1
  float* const table = stats + 4 * kTile;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int h = blockIdx.y, b = blockIdx.z, j0 = (blockIdx.x * WARPS + warp) * 16, C = p.heads * D;
  const size_t stride = 3 * C, line = stride * p.map_width, stat = (static_cast<size_t>(b) * p.heads + h) * N;
  const size_t queries_line = static_cast<size_t>(W) * C,
               gradient_line = static_cast<size_t>(p.map_width) * C;
  const LargePlace place = place_of_window<W>(p, b);
  const bf16* const map = p.qkv + place.token * stride + h * D;
  const bf16* const queries = p.queries + static_cast<size_t>(b) * N * C + h * D;
  const bf16* const gradient = p.d_out + place.token * C + h * D;
  const float scale = 1 / sqrtf(static_cast<float>(D)), c = kLog2e * scale;

  copy_floats<T>(table, p.bias + (h * 2 + 1) * table_floats<W>(), table_floats<W>());
  copy_tile<D, W, kTile, T>(tiles, queries, C, queries_line);
  copy_tile<D, W, kTile, T>(tiles + kTile * Tile<D>::row, gradient, C, gradient_line);
  copy_floats<T>(stats, p.lse + stat, kTile);
  copy_floats<T>(stats + kTile, p.delta + stat, kTile);
  cp_commit();

  Rows<D> k[1], v[1];
  const size_t keys = token_in_map<W>(p, j0) * stride;
  load_rows<D>(k[0], map + C + keys, stride, g, t);
  load_rows<D>(v[0], map + 2 * C + keys, stride, g, t);
  float d_k[1][D / 8][4] = {}, d_v[1][D / 8][4] = {};
  const Lanes<D> lanes(lane);
  const float* const row_table = table + table_of_row<W>(j0, g, t);
  const uint32_t tiles_at = shared_address(tiles);

  for (int tile = 0; tile < TILES; ++tile) {
    cp_wait<0>();
    sync_block();
    if (tile + 1 < TILES) {
      const int other = (tile + 1) & 1, from = (tile + 1) * kTile;
      bf16* const next = tiles + other * 2 * kTile * Tile<D>::row;
      copy_tile<D, W, kTile, T>(next, queries + static_cast<size_t>(from) * C, C, queries_line);
      copy_tile<D, W, kTile, T>(next + kTile * Tile<D>::row, gradient + token_in_map<W>(p, from) * C, C,
                                gradient_line);
      copy_floats<T>(stats + other * 2 * kTile, p.lse + stat + from, kTile);
      copy_floats<T>(stats + other * 2 * kTile + kTile, p.delta + stat + from, kTile);
      cp_commit();
    }
    const uint32_t q_at = tiles_at + (tile & 1) * 2 * tile_bytes<D>(), g_at = q_at + tile_bytes<D>();
    const float* const lse = stats + (tile & 1) * 2 * kTile;
#pragma unroll 1
    for (int chunk = 0; chunk < kTile; chunk += 16) {
      float s[1][2][4], ds[1][2][4] = {};
      {
        float bias[Bias::count][2];
        load_bias<W, 2, 2>(bias, row_table + table_of_column<W>(tile * kTile + chunk));
#pragma unroll
        for (int n = 0; n < 2; ++n)
#pragma unroll
          for (int i = 0; i < 4; ++i) s[0][n][i] = bias[Bias::group(i / 2, n)][i % 2];
      }
      multiply_by_rows<D, 1, 2>(s, k, q_at + chunk * Tile<D>::row * 2, lanes);
      multiply_by_rows<D, 1, 2>(ds, v, g_at + chunk * Tile<D>::row * 2, lanes);
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const float2 L = *reinterpret_cast<const float2*>(lse + chunk + 8 * n + 2 * t);
        const float2 E = *reinterpret_cast<const float2*>(lse + kTile + chunk + 8 * n + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          s[0][n][i] = ex2(s[0][n][i] * c - (i % 2 ? L.y : L.x));
          ds[0][n][i] = s[0][n][i] * (ds[0][n][i] - (i % 2 ? E.y : E.x));
        }
      }
      uint32_t packed[1][1][4];
      pack_block(packed[0][0], s[0][0], s[0][1]);
      multiply_by_columns<D, 1, 1>(d_v, packed, g_at + chunk * Tile<D>::row * 2, lanes);
      pack_block(packed[0][0], ds[0][0], ds[0][1]);
      multiply_by_columns<D, 1, 1>(d_k, packed, q_at + chunk * Tile<D>::row * 2, lanes);
    }
  }

#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) d_k[0][n][i] *= scale;
  sync_block();
  bf16* const to = p.d_qkv + place.token * stride + keys + h * D;
  store_rows<D, W, 1>(tiles + warp * 32 * Tile<D>::row, d_k, to + C, stride, line, lane);
  store_rows<D, W, 1>(tiles + (warp * 32 + 16) * Tile<D>::row, d_v, to + 2 * C, stride, line, lane);
}

/// d_table from its parts, in fixed order. Block: 8W threads for a head and a difference of rows. Grid:
/// (2W-1, heads).
template <int W>
__global__ void reduce_table_large(const Large p) {
  constexpr int parts = W * W / 128, per = 128 / W;
  DIFFIT_SHARED(memory);
  float* const sum = reinterpret_cast<float*>(memory);
  const int h = blockIdx.y, v = blockIdx.x, u = threadIdx.x % (2 * W), lot = threadIdx.x / (2 * W);
  float x = 0;  // v: key row - query row + W - 1
  for (int b = lot; b < p.windows; b += 4)
#pragma unroll
    for (int q = 0; q < parts; ++q) {
      const int row = v - (W - 1) + per - 1 + q * per;
      if (row >= 0 && row < block_rows<W>())
        x += p.part_table[(((static_cast<size_t>(b) * p.heads + h) * parts + q) * block_rows<W>() + row) * 2 *
                              W +
                          u];
    }
  sum[threadIdx.x] = x;
  sync_block();
  if (lot == 0 && u >= 1)  // u: key x - query x + W
    p.d_table[((2 * (W - 1) - v) * (2 * W - 1) + 2 * W - 1 - u) * p.heads + h] =
        sum[u] + sum[2 * W + u] + sum[4 * W + u] + sum[6 * W + u];
}

}  // namespace diffit::kernels::cuda
