// Loads, stores and functions that the kernels share, once per instruction set.
#if defined(DIFFIT_KERNELS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DIFFIT_KERNELS_CPU_VECTOR_INL_H_
#undef DIFFIT_KERNELS_CPU_VECTOR_INL_H_
#else
#define DIFFIT_KERNELS_CPU_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/element.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using Vec = hn::Vec<F32>;
inline constexpr std::int64_t lanes = HWY_LANES(float);

HWY_INLINE Vec load(const float* from) {
  return hn::LoadU(F32(), from);
}
HWY_INLINE void store(Vec v, float* to) {
  hn::StoreU(v, F32(), to);
}

HWY_INLINE Vec load(const bfloat16_bits* from) {
  const hn::Rebind<std::uint16_t, F32> d16;
  const hn::RebindToUnsigned<F32> d32;
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, from))));
}

/// Rounds to nearest, ties to even; NaN stays NaN.
HWY_INLINE void store(Vec v, bfloat16_bits* to) {
  const hn::Rebind<std::uint16_t, F32> d16;
  const hn::RebindToUnsigned<F32> d32;
  const hn::RebindToSigned<F32> i32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const auto rounded = hn::Add(hn::Add(bits, odd), hn::Set(d32, 0x7FFF));
  const auto kept = hn::IfThenElse(hn::RebindMask(d32, hn::IsNaN(v)), hn::Set(d32, 0x7FC00000), rounded);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(i32, hn::ShiftRight<16>(kept))), d16, to);
}

/// The first `count` < lanes elements; zeros behind them.
template <class T>
HWY_INLINE Vec load_part(const T* from, std::int64_t count) {
  T buffer[lanes] = {};
  std::memcpy(buffer, from, static_cast<std::size_t>(count) * sizeof(T));
  return load(buffer);
}
template <class T>
HWY_INLINE void store_part(Vec v, T* to, std::int64_t count) {
  T buffer[lanes];
  store(v, buffer);
  std::memcpy(to, buffer, static_cast<std::size_t>(count) * sizeof(T));
}

/// A vector of a row that may end inside it: IsPart says so at compile time.
template <bool IsPart, class T>
HWY_INLINE Vec load_columns(const T* from, std::int64_t count) {
  if constexpr (IsPart) {
    return load_part(from, count);
  } else {
    return load(from);
  }
}
template <bool IsPart, class T>
HWY_INLINE void store_columns(Vec v, T* to, std::int64_t count) {
  if constexpr (IsPart) {
    store_part(v, to, count);
  } else {
    store(v, to);
  }
}

/// Cuts `columns` into blocks of 4, 2 and 1 vectors and a rest: body(vectors, is part, first column, count),
/// the first two as std::integral_constant, count the columns of a vector that is a part.
template <class Body>
HWY_INLINE void for_columns(std::int64_t columns, const Body& body) {
  std::int64_t c = 0;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) {
    body(std::integral_constant<int, 4>(), std::false_type(), c, lanes);
  }
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    body(std::integral_constant<int, 2>(), std::false_type(), c, lanes);
  }
  for (; c + lanes <= columns; c += lanes)
    body(std::integral_constant<int, 1>(), std::false_type(), c, lanes);
  if (c < columns) body(std::integral_constant<int, 1>(), std::true_type(), c, columns - c);
}

/// e^x to 2 units in the last place for x in [-87.3, 88.3], clamped to that range outside; NaN stays NaN.
HWY_INLINE Vec exponential(Vec unclamped) {
  const F32 d;
  const hn::RebindToSigned<F32> i32;
  const Vec x = hn::Max(hn::Set(d, -87.3F), hn::Min(hn::Set(d, 88.3F), unclamped));
  const Vec n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504F)));
  const Vec r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F),
                              hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x));  // |r| <= ln 2 / 2
  Vec p = hn::Set(d, 1.0F / 720);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(i32, n), hn::Set(i32, 127)));
  return hn::Mul(p, hn::BitCast(d, power));
}

/// 1 / (1 + e^-x); exactly 0 where e^-x would overflow, so that it may be multiplied by any number.
HWY_INLINE Vec sigmoid(Vec x) {
  const F32 d;
  const Vec one = hn::Set(d, 1.0F);
  const Vec s = hn::Div(one, hn::Add(one, exponential(hn::Neg(x))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.3F)), s);
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
