// Small matrix products on scratch that lies in the first-level cache, once per instruction set.
#if defined(DIFFIT_KERNELS_CPU_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DIFFIT_KERNELS_CPU_MATMUL_INL_H_
#undef DIFFIT_KERNELS_CPU_MATMUL_INL_H_
#else
#define DIFFIT_KERNELS_CPU_MATMUL_INL_H_
#endif

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

/// A matrix whose element (row, k) lies at data[row * row_stride + k * k_stride]: read as it is or
/// transposed.
struct Left {
  const float* data;
  std::int64_t row_stride, k_stride;
};
/// Rows of whole vectors.
struct Rows {
  float* data;
  std::int64_t stride;
};
struct ConstRows {
  const float* data;
  std::int64_t stride;
};

/// R rows by V vectors of C = start + A B, where start is zero if its data is null.
template <int R, int V>
HWY_INLINE void matmul_tile(Left a, ConstRows b, ConstRows start, Rows c, std::int64_t depth) {
  const F32 d;
  Vec sum[R][V];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) {
      sum[r][v] = start.data ? load(start.data + r * start.stride + v * lanes) : hn::Zero(d);
    }
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec row[V];
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) row[v] = load(b.data + k * b.stride + v * lanes);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      const Vec factor = hn::Set(d, a.data[r * a.row_stride + k * a.k_stride]);
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) store(sum[r][v], c.data + r * c.stride + v * lanes);
  }
}

template <int R, int V>
HWY_INLINE void matmul_columns(Left a, ConstRows b, ConstRows start, Rows c, std::int64_t rows,
                               std::int64_t depth) {
  std::int64_t r = 0;
  const auto at_row = [&](std::int64_t row) {
    return Left{a.data + row * a.row_stride, a.row_stride, a.k_stride};
  };
  const auto start_at = [&](std::int64_t row) {
    return ConstRows{start.data ? start.data + row * start.stride : nullptr, start.stride};
  };
  for (; r + R <= rows; r += R) {
    matmul_tile<R, V>(at_row(r), b, start_at(r), Rows{c.data + r * c.stride, c.stride}, depth);
  }
  for (; r < rows; ++r) {
    matmul_tile<1, V>(at_row(r), b, start_at(r), Rows{c.data + r * c.stride, c.stride}, depth);
  }
}

/// C [rows, vectors * lanes] = start + A [rows, depth] B [depth, vectors * lanes].
HWY_INLINE void matmul(Left a, ConstRows b, ConstRows start, Rows c, std::int64_t rows, std::int64_t vectors,
                       std::int64_t depth) {
  const bool many_registers = lanes == 16;  // AVX-512 has 32 registers, AVX2 16
  std::int64_t v = 0;
  const auto b_at = [&] { return ConstRows{b.data + v * lanes, b.stride}; };
  const auto start_at = [&] {
    return ConstRows{start.data ? start.data + v * lanes : nullptr, start.stride};
  };
  const auto c_at = [&] { return Rows{c.data + v * lanes, c.stride}; };
  if (many_registers) {
    for (; v + 4 <= vectors; v += 4) matmul_columns<4, 4>(a, b_at(), start_at(), c_at(), rows, depth);
    for (; v + 2 <= vectors; v += 2) matmul_columns<8, 2>(a, b_at(), start_at(), c_at(), rows, depth);
    if (v < vectors) matmul_columns<8, 1>(a, b_at(), start_at(), c_at(), rows, depth);
  } else {
    for (; v + 2 <= vectors; v += 2) matmul_columns<4, 2>(a, b_at(), start_at(), c_at(), rows, depth);
    if (v < vectors) matmul_columns<8, 1>(a, b_at(), start_at(), c_at(), rows, depth);
  }
}

/// out [columns, out_stride] = the transpose of rows [count, stride]; count and columns are multiples of
/// lanes. `repacked` holds lanes * columns floats.
HWY_INLINE void transpose(ConstRows rows, std::int64_t count, std::int64_t columns, Rows out,
                          float* HWY_RESTRICT repacked) {
#if HWY_TARGET == HWY_SCALAR
  static_cast<void>(repacked);
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) out.data[c * out.stride + r] = rows.data[r * rows.stride + c];
  }
#else
  const hn::FixedTag<float, 4> quad;
  const F32 d;
  for (std::int64_t first = 0; first < count; first += lanes) {
    for (std::int64_t r = 0; r < lanes; ++r) {
      const float* from = rows.data + (first + r) * rows.stride;
      for (std::int64_t c = 0; c < columns; c += 4) {
        hn::StoreU(hn::LoadU(quad, from + c), quad, repacked + c * lanes + r * 4);
      }
    }
    for (std::int64_t c = 0; c < columns; c += 4) {
      Vec v0, v1, v2, v3;
      hn::LoadInterleaved4(d, repacked + c * lanes, v0, v1, v2, v3);
      float* to = out.data + c * out.stride + first;
      store(v0, to);
      store(v1, to + out.stride);
      store(v2, to + 2 * out.stride);
      store(v3, to + 3 * out.stride);
    }
  }
#endif
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
