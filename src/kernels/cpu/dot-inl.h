// Sums of products of packed numbers, once per instruction set: float32 one at a time, or bfloat16 in pairs
// where the processor has such an instruction.
//
// A packed matrix consists of 32-bit units along the axis that is summed over: one float32, or two neighbours
// in bfloat16, the first in the low half.
#if defined(DIFFIT_KERNELS_CPU_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DIFFIT_KERNELS_CPU_DOT_INL_H_
#undef DIFFIT_KERNELS_CPU_DOT_INL_H_
#else
#define DIFFIT_KERNELS_CPU_DOT_INL_H_
#endif

#include "kernels/cpu/vector-inl.h"

#undef DIFFIT_BFLOAT16_DOT
#if HWY_TARGET == HWY_AVX3 && defined(__x86_64__) && !defined(__clang__)
#define DIFFIT_BFLOAT16_DOT 1
#include <immintrin.h>
#else
#define DIFFIT_BFLOAT16_DOT 0
#endif

HWY_BEFORE_NAMESPACE();
#if DIFFIT_BFLOAT16_DOT
#pragma GCC target("avx512bf16")
#endif
namespace diffit::kernels::cpu::HWY_NAMESPACE {

using U32 = hn::RebindToUnsigned<F32>;

/// Units of one float32.
struct Float32Dot {
  static constexpr std::int64_t numbers = 1;  // a unit
  using Unit = float;

  static HWY_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return hn::MulAdd(a, b, sum); }
  /// A row of a matrix, packed along the row.
  static HWY_INLINE void pack_row(Vec v, Unit* row, std::int64_t first) { store(v, row + first); }
  /// The units of `numbers` rows, packed down the columns.
  static HWY_INLINE Vec pack_rows(Vec row, Vec) { return row; }
};

#if DIFFIT_BFLOAT16_DOT
/// Units of two bfloat16.
struct Bfloat16Dot {
  static constexpr std::int64_t numbers = 2;
  using Unit = float;  // the bits of a pair

  static HWY_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) {
    return Vec{
        _mm512_dpbf16_ps(sum.raw, reinterpret_cast<__m512bh>(a.raw), reinterpret_cast<__m512bh>(b.raw))};
  }
  static HWY_INLINE void pack_row(Vec v, Unit* row, std::int64_t first) {
    const __m256bh rounded = _mm512_cvtneps_pbh(v.raw);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + first / 2), reinterpret_cast<__m256i>(rounded));
  }
  /// Rounds to nearest, ties away from zero.
  static HWY_INLINE Vec pack_rows(Vec first, Vec second) {
    const U32 d;
    const auto half = hn::Set(d, 0x8000);
    const auto low = hn::ShiftRight<16>(hn::Add(hn::BitCast(d, first), half));
    const auto high = hn::And(hn::Add(hn::BitCast(d, second), half), hn::Set(d, 0xFFFF0000));
    return hn::BitCast(F32(), hn::Or(low, high));
  }
};
#endif

/// 2^x for x <= 0, 0 below -126; relative error 2^-22 where Dot is of float32, 2^-14 (of bfloat16's 2^-8)
/// else. NaN stays NaN.
template <class Dot>
HWY_INLINE Vec power_of_two(Vec unclamped) {
  const F32 d;
  const U32 bits;
  const Vec x = hn::Max(hn::Set(d, -126.0F), unclamped);
  const Vec magic =
      hn::Set(d, 12582912.0F);  // 1.5 * 2^23: adding it rounds to a whole number in the low bits
  const Vec shifted = hn::Add(x, magic);
  const Vec r = hn::Sub(x, hn::Sub(shifted, magic));  // |r| <= 1/2
  // Taylor's series of 2^r: ln(2)^k / k!
  Vec p = hn::Set(d, 9.61812911e-3F);
  if constexpr (Dot::numbers == 1) {
    p = hn::MulAdd(hn::Set(d, 1.54035304e-4F), r, hn::Set(d, 1.33335581e-3F));
    p = hn::MulAdd(p, r, hn::Set(d, 9.61812911e-3F));
  }
  p = hn::MulAdd(p, r, hn::Set(d, 5.55041087e-2F));
  p = hn::MulAdd(p, r, hn::Set(d, 2.40226507e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 6.93147181e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(bits, shifted));
  return hn::BitCast(d, hn::Add(hn::BitCast(bits, p), exponent));
}

/// R rows by V vectors of C = start + A B. A's unit (row, k) is a[row * a_row + k * a_k]; row k of B is V
/// vectors at b + k * b_k; the sums of row r and vector v begin with start(r, v) and go to finish(r, v, sum).
template <class Dot, int R, int V, class Start, class Finish>
HWY_INLINE void dot_tile(const float* HWY_RESTRICT a, std::int64_t a_row, std::int64_t a_k,
                         const float* HWY_RESTRICT b, std::int64_t b_k, std::int64_t depth,
                         const Start& start, const Finish& finish) {
  const F32 d;
  Vec sum[R][V];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) sum[r][v] = start(r, v);
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec row[V];
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) row[v] = load(b + k * b_k + v * lanes);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      const Vec factor = hn::Set(d, a[r * a_row + k * a_k]);
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sum[r][v] = Dot::multiply_add(factor, row[v], sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) finish(r, v, sum[r][v]);
  }
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
