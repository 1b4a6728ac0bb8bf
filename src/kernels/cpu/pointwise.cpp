#include "kernels/cpu/pointwise.h"

#include <algorithm>

#include "kernels/cpu/targets.h"
#include "runtime/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pointwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t grain = 16384;  // numbers

// gelu_tanh(x) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3), since 1 + tanh(u) = 2 sigmoid(2u).
inline constexpr float twice_root = 1.5957691216F;  // 2 sqrt(2/pi)
inline constexpr float cubic = 0.044715F;

HWY_INLINE Vec gelu(Vec x) {
  const F32 d;
  const Vec inner = hn::MulAdd(hn::Mul(hn::Set(d, cubic), x), x, hn::Set(d, 1.0F));
  return hn::Mul(x, sigmoid(hn::Mul(hn::Mul(hn::Set(d, twice_root), x), inner)));
}

HWY_INLINE Vec gelu_derivative(Vec unclamped) {
  const F32 d;
  // Beyond, the derivative is 0 or 1 and a product of its parts might overflow.
  const Vec x = hn::Max(hn::Set(d, -16.0F), hn::Min(hn::Set(d, 16.0F), unclamped));
  const Vec one = hn::Set(d, 1.0F), square = hn::Mul(x, x), factor = hn::Mul(hn::Set(d, twice_root), x);
  const Vec s = sigmoid(hn::Mul(factor, hn::MulAdd(hn::Set(d, cubic), square, one)));
  const Vec inner = hn::MulAdd(hn::Set(d, 3 * cubic), square, one);  // of 2u, divided by twice_root
  return hn::MulAdd(hn::Mul(s, hn::Sub(one, s)), hn::Mul(factor, inner), s);
}

/// Calls use(offset, count, is part) for each vector of [0, count).
template <class Use>
void for_all(std::int64_t count, const Use& use) {
  const std::int64_t vectors = (count + lanes - 1) / lanes;
  parallel_for(vectors, grain / lanes, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    const std::int64_t last = std::min(end, count / lanes);
    for (std::int64_t v = begin; v < last; ++v) use(v * lanes, lanes, std::false_type());
    if (end > last) use(last * lanes, count - last * lanes, std::true_type());
  });
}

template <class T>
void gelu_forward(std::int64_t count, const T* x, T* y) {
  for_all(count, [&](std::int64_t at, std::int64_t n, auto part) HWY_ATTR {
    constexpr bool is_part = decltype(part)::value;
    store_columns<is_part>(gelu(load_columns<is_part>(x + at, n)), y + at, n);
  });
}

template <class T>
void gelu_backward(std::int64_t count, const T* x, const T* d_y, T* d_x) {
  for_all(count, [&](std::int64_t at, std::int64_t n, auto part) HWY_ATTR {
    constexpr bool is_part = decltype(part)::value;
    const Vec slope = gelu_derivative(load_columns<is_part>(x + at, n));
    store_columns<is_part>(hn::Mul(slope, load_columns<is_part>(d_y + at, n)), d_x + at, n);
  });
}

template <class T>
void upsample2_forward(const MapShape& shape, const T* x, T* y) {
  const std::int64_t row = shape.width * shape.channels;
  parallel_for(shape.batch * shape.height, std::max<std::int64_t>(1, grain / (4 * row)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   T* to = y + r * 4 * row;
                   for (std::int64_t p = 0; p < shape.width; ++p) {
                     const T* pixel = x + r * row + p * shape.channels;
                     std::copy_n(pixel, shape.channels, to + 2 * p * shape.channels);
                     std::copy_n(pixel, shape.channels, to + (2 * p + 1) * shape.channels);
                   }
                   std::copy_n(to, 2 * row, to + 2 * row);
                 }
               });
}

template <class T>
void upsample2_backward(const MapShape& shape, const T* d_y, T* d_x) {
  const std::int64_t channels = shape.channels, row = shape.width * channels;
  parallel_for(
      shape.batch * shape.height, std::max<std::int64_t>(1, grain / (4 * row)),
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
          for (std::int64_t p = 0; p < shape.width; ++p) {
            const T* from = d_y + r * 4 * row + 2 * p * channels;
            T* to = d_x + r * row + p * channels;
            for_columns(channels, [&](auto vectors, auto part, std::int64_t c, std::int64_t n) HWY_ATTR {
              constexpr bool is_part = decltype(part)::value;
              const auto at = [&](const T* pixel) HWY_ATTR { return load_columns<is_part>(pixel, n); };
              for (int v = 0; v < decltype(vectors)::value; ++v, c += lanes) {
                const Vec above = hn::Add(at(from + c), at(from + channels + c));
                const Vec below = hn::Add(at(from + 2 * row + c), at(from + 2 * row + channels + c));
                store_columns<is_part>(hn::Add(above, below), to + c, n);
              }
            });
          }
        }
      });
}

void gelu_forward_target(std::int64_t count, Element element, const void* x, void* y) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    gelu_forward(count, static_cast<const T*>(x), static_cast<T*>(y));
  });
}

void gelu_backward_target(std::int64_t count, Element element, const void* x, const void* d_y, void* d_x) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    gelu_backward(count, static_cast<const T*>(x), static_cast<const T*>(d_y), static_cast<T*>(d_x));
  });
}

void upsample2_forward_target(const MapShape& shape, Element element, const void* x, void* y) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    upsample2_forward(shape, static_cast<const T*>(x), static_cast<T*>(y));
  });
}

void upsample2_backward_target(const MapShape& shape, Element element, const void* d_y, void* d_x) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    upsample2_backward(shape, static_cast<const T*>(d_y), static_cast<T*>(d_x));
  });
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(gelu_forward_target);
HWY_EXPORT(gelu_backward_target);
HWY_EXPORT(upsample2_forward_target);
HWY_EXPORT(upsample2_backward_target);

void gelu_forward(std::int64_t count, Element element, const void* x, void* y) {
  HWY_DYNAMIC_DISPATCH(gelu_forward_target)(count, element, x, y);
}
void gelu_backward(std::int64_t count, Element element, const void* x, const void* d_y, void* d_x) {
  HWY_DYNAMIC_DISPATCH(gelu_backward_target)(count, element, x, d_y, d_x);
}
void upsample2_forward(const MapShape& shape, Element element, const void* x, void* y) {
  HWY_DYNAMIC_DISPATCH(upsample2_forward_target)(shape, element, x, y);
}
void upsample2_backward(const MapShape& shape, Element element, const void* d_y, void* d_x) {
  HWY_DYNAMIC_DISPATCH(upsample2_backward_target)(shape, element, d_y, d_x);
}

}  // namespace diffit::kernels::cpu
#endif
