// Attention in non-overlapping windows of 4 x 4 (N = 16) and 8 x 8 (N = 64) tokens of a map, head size D 16,
// 32 or 64.
//
// No transposed copies, no ldmatrix: a lane (g, t) = (lane / 4, lane % 4) reads D/4 channels of row g at
// once, D/8 registers of two channels. Any order of the channels will do for the products over channels if
// both operands have the same, so register 2s and 2s + 1 are the two halves of a depth-16 fragment as they
// come (A and B alike). For products over tokens movmatrix turns each register's 8 x 8 block; column 2t + e
// of block r is then the very channel e of register r of lane t, so that results are again D/4 neighbouring
// channels a lane: one 16-byte store.
#pragma once
#include "kernels/cuda/device.cuh"

namespace diffit::kernels::cuda {

struct Windows {
  const bf16 *qkv, *qkv_t, *d_out;
  const float* table;  // [(2w-1)^2, heads]
  bf16 *out, *d_qkv;
  float* part_t;  // [B][windows a sample / SEG][2][C]: sums of d_q and d_out over the tokens of SEG windows
  float* part_table;  // w = 4: [warps of the grid][49]; w = 8: [blocks of the grid][225]; head: index % heads
  int batch, height, width, heads,
      units;  // units: windows (of the batch); w = 4, backward: groups of SEG windows
};

/// The first channel of register r of lane t.
template <int D>
DIFFIT_DEVICE int channel(int r, int t) {
  return D == 16 ? 4 * t + 2 * r : r / 4 * 32 + 8 * t + r % 4 * 2;
}

template <int D>
DIFFIT_DEVICE void load_lane(uint32_t (&x)[D / 8], const bf16* row, int t) {
  if constexpr (D == 16) {
    const uint2 a = ld64(row + 4 * t);
    x[0] = a.x, x[1] = a.y;
  } else {
#pragma unroll
    for (int i = 0; i < D / 32; ++i) {
      const uint4 a = ld128(row + 32 * i + 8 * t);
      x[4 * i] = a.x, x[4 * i + 1] = a.y, x[4 * i + 2] = a.z, x[4 * i + 3] = a.w;
    }
  }
}
template <int D>
DIFFIT_DEVICE void store_lane(bf16* row, const uint32_t (&x)[D / 8], int t) {
  DIFFIT_ALIGNED(row, D == 16 ? 8 : 16);
  if constexpr (D == 16) {
    *reinterpret_cast<uint2*>(row + 4 * t) = uint2{x[0], x[1]};
  } else {
#pragma unroll
    for (int i = 0; i < D / 32; ++i)
      *reinterpret_cast<uint4*>(row + 32 * i + 8 * t) =
          uint4{x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]};
  }
}
/// Rows g and g + 8 of a result, times `factor`.
template <int D>
DIFFIT_DEVICE void store_result(bf16* lo, bf16* hi, const float (&x)[D / 8][4], float factor, int t) {
  uint32_t r[D / 8];
#pragma unroll
  for (int n = 0; n < D / 8; ++n) r[n] = pack(x[n][0] * factor, x[n][1] * factor);
  store_lane<D>(lo, r, t);
#pragma unroll
  for (int n = 0; n < D / 8; ++n) r[n] = pack(x[n][2] * factor, x[n][3] * factor);
  store_lane<D>(hi, r, t);
}
template <int D>
DIFFIT_DEVICE void add_lane(uint32_t (&x)[D / 8], const uint32_t (&y)[D / 8]) {
#pragma unroll
  for (int r = 0; r < D / 8; ++r) x[r] = add2(x[r], y[r]);
}
/// c[16][8] += a[16][D] b[8][D]^T
template <int D>
DIFFIT_DEVICE void multiply(float (&c)[4], const uint32_t (&lo)[D / 8], const uint32_t (&hi)[D / 8],
                            const uint32_t (&b)[D / 8]) {
#pragma unroll
  for (int s = 0; s < D / 16; ++s)
    mma16(c, lo[2 * s], hi[2 * s], lo[2 * s + 1], hi[2 * s + 1], b[2 * s], b[2 * s + 1]);
}

/// x[M] of 8 lanes g (same t) summed up; lane g keeps the sums of values [first, first + M / 8), for M < 8
/// lanes with g % (8 / M) == 0 keep one.
template <int M, int BIT>
DIFFIT_DEVICE void sum_step(float* x, int lane) {
  if constexpr (M > 1) {
    const bool up = lane & BIT;
#pragma unroll
    for (int i = 0; i < M / 2; ++i)
      x[i] = (up ? x[i + M / 2] : x[i]) + shuffle_xor(up ? x[i] : x[i + M / 2], BIT);
  } else {
    x[0] += shuffle_xor(x[0], BIT);
  }
}
template <int M>
DIFFIT_DEVICE void sum_over_rows(float (&x)[M], int lane) {
  sum_step<M, 16>(x, lane);
  sum_step<(M > 1 ? M / 2 : 1), 8>(x, lane);
  sum_step<(M > 2 ? M / 4 : 1), 4>(x, lane);
}
/// Writes sums of sum_over_rows<D / 4> (value 2r + e is channel e of register r) to to[0..D).
template <int D>
DIFFIT_DEVICE void write_row_sums(float* to, const float (&x)[D / 4], int g, int t) {
  if constexpr (D == 16) {
    if (g % 2 == 0) to[channel<D>(g / 4, t) + g / 2 % 2] = x[0];
  } else {
#pragma unroll
    for (int i = 0; i < D / 32; ++i) {
      const int v = g * (D / 32) + i;
      to[channel<D>(v / 2, t) + v % 2] = x[i];
    }
  }
}

/// Softmax over rows of 8 NB columns spread over the quads (scores raw; c = log2(e) / sqrt(d)).
template <int NB>
DIFFIT_DEVICE void softmax(float (&s)[NB][4], float c) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float top = s[0][2 * r], sum = 0;
#pragma unroll
    for (int n = 0; n < NB; ++n) top = fmaxf(top, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
    top = quad_max(top) * c;
#pragma unroll
    for (int n = 0; n < NB; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) sum += s[n][2 * r + e] = ex2(s[n][2 * r + e] * c - top);
    const float inverse = 1 / quad_sum(sum);
#pragma unroll
    for (int n = 0; n < NB; ++n) s[n][2 * r] *= inverse, s[n][2 * r + 1] *= inverse;
  }
}

struct Place {
  int batch, y, x;
};
template <int W>
DIFFIT_DEVICE Place place_of(const Windows& p, int window) {
  const unsigned columns = p.width / W, rows = p.height / W, u = window;
  return {static_cast<int>(u / (columns * rows)), static_cast<int>(u / columns % rows) * W,
          static_cast<int>(u % columns) * W};
}

}  // namespace diffit::kernels::cuda
