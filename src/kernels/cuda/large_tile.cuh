// Attention in windows of W x W tokens, W = 16 or 32, N = W*W, head size D a multiple of 8. A whole map is
// one window.
//
// The time token: k_t adds the same number to all scores of a query, which the softmax cancels, and v_t adds
// itself to the output (the probabilities sum to one). So only q_t enters the products:
//   out  = softmax((q + q_t) k^T / sqrt(d) + bias) v + v_t
//   d_k_t = 0, d_v_t = sum of d_out over the tokens, d_q_t = sum of d_q over the tokens,
// and D_i = sum_j P_ij dP_ij = d_out_i . (out_i - v_t) when dP = d_out v^T is taken of the plain v.
//
// Scores are kept "raw" (before 1/sqrt(d)), the table is prepared as bias * sqrt(d), so that it can be the
// initial accumulator; P = exp2(raw * c - m), c = log2(e) / sqrt(d).
#pragma once
#include "kernels/cuda/device.cuh"

namespace diffit::kernels::cuda {

struct Large {
  const bf16 *qkv, *qkv_t, *d_out;
  const float* table;  // [(2W-1)^2, heads]
  bf16 *out, *d_qkv;
  float *d_qkv_t, *d_table;
  float* bias;         // prepared, [heads][2][2W-1][2W]
  float *lse, *delta;  // [windows, heads, N]; lse in units of log2
  bf16* queries;       // [windows, N, C]: q + q_t as rounded in the forward pass, written by _q for _kv
  float* part_t;       // [windows][N/128][2][C]: sums of d_q and of d_out over 128 tokens
  float* part_table;   // [windows][heads][N/128][W + 128/W - 1][2W]
  int windows, heads;  // windows of the whole batch, those of a sample one after the other
  int map_width, windows_down, windows_across;  // of a sample
};

/// A window's sample, and the number of its first token among those of all maps.
struct LargePlace {
  int sample;
  size_t token;
};
template <int W>
DIFFIT_DEVICE LargePlace place_of_window(const Large& p, int window) {
  const int a_sample = p.windows_down * p.windows_across, sample = window / a_sample,
            rest = window % a_sample;
  const size_t row = static_cast<size_t>(sample) * p.windows_down * W + rest / p.windows_across * W;
  return {sample, row * p.map_width + rest % p.windows_across * W};
}
/// Tokens of the map from a window's first token to its token i.
template <int W>
DIFFIT_DEVICE size_t token_in_map(const Large& p, int i) {
  return static_cast<size_t>(i / W) * p.map_width + i % W;
}

template <int D>
struct Tile {
  static constexpr int chunks = D / 8, k16 = D / 16, tail = D % 16 / 8;
  static constexpr int row =
      chunks % 2 ? D : D + 8;  // elements a row: an odd number of 16 bytes, so no bank conflicts
};

/// Sixteen rows as the A operand: D/16 products of depth 16 and one of depth 8 if D is no multiple of 16.
template <int D>
struct Rows {
  uint32_t v[Tile<D>::k16 * 4 + Tile<D>::tail * 2];
};

/// `first`: channel 0 of row 0; g, t: lane / 4, lane % 4.
template <int D>
DIFFIT_DEVICE void load_rows(Rows<D>& f, const bf16* first, size_t stride, int g, int t) {
  const bf16 *lo = first + g * stride + 2 * t, *hi = lo + 8 * stride;
#pragma unroll
  for (int s = 0; s < Tile<D>::k16; ++s) {
    f.v[4 * s] = ld32(lo + 16 * s);
    f.v[4 * s + 1] = ld32(hi + 16 * s);
    f.v[4 * s + 2] = ld32(lo + 16 * s + 8);
    f.v[4 * s + 3] = ld32(hi + 16 * s + 8);
  }
  if constexpr (Tile<D>::tail) {
    f.v[4 * Tile<D>::k16] = ld32(lo + 16 * Tile<D>::k16);
    f.v[4 * Tile<D>::k16 + 1] = ld32(hi + 16 * Tile<D>::k16);
  }
}
/// The channel of register i of Rows, less 2t, and whether it belongs to the upper 8 rows.
template <int D>
constexpr int channel_of(int i) {
  return i / 4 * 16 + (i < Tile<D>::k16 * 4 && i % 4 >= 2 ? 8 : 0);
}
constexpr int half_of(int i) {
  return i % 2;
}

template <int D>
DIFFIT_DEVICE void add_to_rows(Rows<D>& f, const bf16* vector, int t) {
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(f.v) / 4); ++i)
    f.v[i] = add2(f.v[i], ld32(vector + channel_of<D>(i) + 2 * t));
}

/// Byte offsets of this lane's row address in the ldmatrix of a tile's 16 x 16 block.
template <int D>
struct Lanes {
  uint32_t rows, columns, all, half;
  DIFFIT_DEVICE explicit Lanes(int lane) {
    rows = (((lane >> 4) * 8 + (lane & 7)) * Tile<D>::row + ((lane >> 3) & 1) * 8) *
           2;  // tile rows are columns of the product
    columns = ((((lane >> 3) & 1) * 8 + (lane & 7)) * Tile<D>::row + (lane >> 4) * 8) *
              2;  // tile rows are its depth
    all = lane * Tile<D>::row * 2;
    half = (lane & 15) * Tile<D>::row * 2;
  }
};

/// acc[16 MT][8 NB] += a[16 MT][D] (8 NB rows of the tile from address `at`)^T
template <int D, int MT, int NB>
DIFFIT_DEVICE void multiply_by_rows(float (&acc)[MT][NB][4], const Rows<D> (&a)[MT], uint32_t at,
                                    const Lanes<D>& l) {
  constexpr int step = 16 * Tile<D>::row * 2, K = Tile<D>::k16;
#pragma unroll
  for (int s = 0; s < K; ++s)
#pragma unroll
    for (int n = 0; n < NB / 2; ++n) {
      uint32_t b[4];
      ldsm4(b, at + l.rows + n * step + s * 32);
#pragma unroll
      for (int m = 0; m < MT; ++m) {
        mma16(acc[m][2 * n], a[m].v[4 * s], a[m].v[4 * s + 1], a[m].v[4 * s + 2], a[m].v[4 * s + 3], b[0],
              b[1]);
        mma16(acc[m][2 * n + 1], a[m].v[4 * s], a[m].v[4 * s + 1], a[m].v[4 * s + 2], a[m].v[4 * s + 3], b[2],
              b[3]);
      }
    }
  if constexpr (Tile<D>::tail) {
    if constexpr (NB % 4 == 0) {
#pragma unroll
      for (int n = 0; n < NB / 4; ++n) {
        uint32_t b[4];
        ldsm4(b, at + l.all + n * 2 * step + K * 32);
#pragma unroll
        for (int m = 0; m < MT; ++m)
#pragma unroll
          for (int i = 0; i < 4; ++i) mma8(acc[m][4 * n + i], a[m].v[4 * K], a[m].v[4 * K + 1], b[i]);
      }
    } else {
#pragma unroll
      for (int n = 0; n < NB / 2; ++n) {
        uint32_t b[2];
        ldsm2(b, at + l.half + n * step + K * 32);
#pragma unroll
        for (int m = 0; m < MT; ++m)
#pragma unroll
          for (int i = 0; i < 2; ++i) mma8(acc[m][2 * n + i], a[m].v[4 * K], a[m].v[4 * K + 1], b[i]);
      }
    }
  }
}

/// acc[16 MT][D] += p[16 MT][16 KB] (16 KB rows of the tile from address `at`)
template <int D, int MT, int KB>
DIFFIT_DEVICE void multiply_by_columns(float (&acc)[MT][D / 8][4], const uint32_t (&p)[MT][KB][4],
                                       uint32_t at, const Lanes<D>& l) {
  constexpr int step = 16 * Tile<D>::row * 2, K = Tile<D>::k16;
#pragma unroll
  for (int k = 0; k < KB; ++k) {
#pragma unroll
    for (int n = 0; n < K; ++n) {
      uint32_t b[4];
      ldsm4t(b, at + l.columns + k * step + n * 32);
#pragma unroll
      for (int m = 0; m < MT; ++m) {
        mma16(acc[m][2 * n], p[m][k][0], p[m][k][1], p[m][k][2], p[m][k][3], b[0], b[1]);
        mma16(acc[m][2 * n + 1], p[m][k][0], p[m][k][1], p[m][k][2], p[m][k][3], b[2], b[3]);
      }
    }
    if constexpr (Tile<D>::tail) {
      uint32_t b[2];
      ldsm2t(b, at + l.half + k * step + K * 32);
#pragma unroll
      for (int m = 0; m < MT; ++m)
        mma16(acc[m][2 * K], p[m][k][0], p[m][k][1], p[m][k][2], p[m][k][3], b[0], b[1]);
    }
  }
}

/// Two neighbouring accumulator blocks (16 x 16) as the A operand of the next product.
DIFFIT_DEVICE void pack_block(uint32_t (&p)[4], const float (&a)[4], const float (&b)[4]) {
  p[0] = pack(a[0], a[1]), p[1] = pack(a[2], a[3]), p[2] = pack(b[0], b[1]), p[3] = pack(b[2], b[3]);
}

/// Which 8 x 8 blocks of RB x CB (tokens row by row of the map) lie on the same diagonals, and where in the
/// table.
template <int W, int RB, int CB>
struct Diagonals {
  static constexpr int gx = W == 32 ? RB + CB - 1 : 3, gy = W == 32 ? 1 : RB / 2 + CB / 2 - 1,
                       count = gx * gy;
  static constexpr int group(int r, int c) {
    return W == 32 ? c - r + RB - 1 : (c / 2 - r / 2 + RB / 2 - 1) * 3 + (c % 2 - r % 2 + 1);
  }
  static constexpr int offset(int group) {
    return W == 32 ? 8 * (group - (RB - 1)) : (group / 3 - (RB / 2 - 1)) * 2 * W + 8 * (group % 3 - 1);
  }
};

/// Index into a prepared table of the pair (row token i0 + g, column token 2t), i0 a multiple of 16: the
/// row's part.
template <int W>
DIFFIT_DEVICE int table_of_row(int i0, int g, int t) {
  return (W - 1 - i0 / W) * 2 * W + W - 1 - i0 % W - g + 2 * t;
}
/// The part of column tokens from j0, a multiple of 16.
template <int W>
DIFFIT_DEVICE int table_of_column(int j0) {
  return j0 / W * 2 * W + j0 % W;
}

template <int W, int RB, int CB>
DIFFIT_DEVICE void load_bias(float (&bias)[Diagonals<W, RB, CB>::count][2], const float* at) {
#pragma unroll
  for (int i = 0; i < Diagonals<W, RB, CB>::count; ++i) {
    bias[i][0] = at[Diagonals<W, RB, CB>::offset(i)];
    bias[i][1] = at[Diagonals<W, RB, CB>::offset(i) + 1];
  }
}

/// ROWS tokens of a window from one that begins a row of the window; `line`: elements from one row of the map
/// to the next.
template <int D, int W, int ROWS, int THREADS>
DIFFIT_DEVICE void copy_tile(bf16* to, const bf16* from, size_t stride, size_t line) {
#pragma unroll
  for (int base = 0; base < ROWS * Tile<D>::chunks; base += THREADS) {
    const int i = base + static_cast<int>(threadIdx.x), r = i / Tile<D>::chunks, c = i % Tile<D>::chunks;
    if (ROWS * Tile<D>::chunks % THREADS == 0 || i < ROWS * Tile<D>::chunks)
      cp16(to + r * Tile<D>::row + c * 8, from + r / W * line + r % W * stride + c * 8);
  }
}
template <int THREADS>
DIFFIT_DEVICE void copy_floats(float* to, const float* from, int count) {
  for (int i = threadIdx.x; i < count / 4; i += THREADS) cp16(to + 4 * i, from + 4 * i);
}

/// Rows of the map from this warp's own part of shared memory.
template <int D, int W, int ROWS>
DIFFIT_DEVICE void copy_rows(const bf16* stage, bf16* to, size_t stride, size_t line, int lane) {
  sync_warp();
#pragma unroll
  for (int i = lane; i < ROWS * Tile<D>::chunks; i += 32) {
    const int r = i / Tile<D>::chunks, c = i % Tile<D>::chunks;
    *reinterpret_cast<uint4*>(to + r / W * line + r % W * stride + c * 8) =
        *reinterpret_cast<const uint4*>(stage + r * Tile<D>::row + c * 8);
  }
}
template <int D>
DIFFIT_DEVICE void stage_rows(bf16* stage, const Rows<D>& f, int g, int t) {
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(f.v) / 4); ++i)
    *reinterpret_cast<uint32_t*>(stage + (8 * half_of(i) + g) * Tile<D>::row + channel_of<D>(i) + 2 * t) =
        f.v[i];
}
/// This warp's accumulators, rounded, to 16 MT rows of the map by way of its own part of shared memory.
template <int D, int W, int MT>
DIFFIT_DEVICE void store_rows(bf16* stage, const float (&acc)[MT][D / 8][4], bf16* to, size_t stride,
                              size_t line, int lane) {
  const int g = lane / 4, t = lane % 4;
#pragma unroll
  for (int m = 0; m < MT; ++m)
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
      for (int h = 0; h < 2; ++h)
        *reinterpret_cast<uint32_t*>(stage + (16 * m + 8 * h + g) * Tile<D>::row + 8 * n + 2 * t) =
            pack(acc[m][n][2 * h], acc[m][n][2 * h + 1]);
  copy_rows<D, W, 16 * MT>(stage, to, stride, line, lane);
}

constexpr int kTile = 64;  // tokens a tile
template <int D>
constexpr size_t tile_bytes() {
  return kTile * Tile<D>::row * 2;
}
template <int W>
constexpr int table_floats() {
  return (2 * W - 1) * 2 * W;
}

}  // namespace diffit::kernels::cuda
