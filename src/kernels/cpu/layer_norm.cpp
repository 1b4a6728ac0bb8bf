#include <algorithm>

#include "kernels/cpu/norm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::cpu::HWY_NAMESPACE {

// A row is short (32 to 2000 numbers) and stays in the first-level cache: it is read once per pass. Lanes
// behind a row's end hold zeros where they are summed.

/// Calls use(offset, count, is whole) for each vector of a row.
template <class Use>
HWY_INLINE void for_vectors(std::int64_t width, const Use& use) {
  std::int64_t c = 0;
  for (; c + lanes <= width; c += lanes) use(c, lanes, std::false_type());
  if (c < width) use(c, width - c, std::true_type());
}

template <class T>
void forward(std::int64_t rows, std::int64_t width, const T* x, double eps, T* y, float* means,
             float* inverse_deviations) {
  const F32 d;
  const Vec reciprocal = hn::Set(d, 1.0F / static_cast<float>(width)),
            epsilon = hn::Set(d, static_cast<float>(eps));
  parallel_for(rows, std::max<std::int64_t>(1, 16384 / width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* from = x + r * width;
      T* to = y + r * width;
      Vec sum = hn::Zero(d);
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        sum = hn::Add(sum, load_columns<decltype(part)::value>(from + c, count));
      });
      const Vec mean = hn::Mul(hn::SumOfLanes(d, sum), reciprocal);
      Vec squares = hn::Zero(d);
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        Vec centred = hn::Sub(load_columns<decltype(part)::value>(from + c, count), mean);
        if (part) centred = hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(count)), centred);
        squares = hn::MulAdd(centred, centred, squares);
      });
      const Vec variance = hn::Mul(hn::SumOfLanes(d, squares), reciprocal);
      const Vec inverse = hn::Div(hn::Set(d, 1.0F), hn::Sqrt(hn::Add(variance, epsilon)));
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        constexpr bool is_part = decltype(part)::value;
        const Vec centred = hn::Sub(load_columns<is_part>(from + c, count), mean);
        store_columns<is_part>(hn::Mul(centred, inverse), to + c, count);
      });
      if (means) {
        means[r] = hn::GetLane(mean);
        inverse_deviations[r] = hn::GetLane(inverse);
      }
    }
  });
}

/// d_x = inverse * (d_y - mean of d_y - normal * mean of d_y * normal).
template <class T>
void backward(std::int64_t rows, std::int64_t width, const T* x, const float* means,
              const float* inverse_deviations, const T* d_y, T* d_x) {
  const F32 d;
  const Vec reciprocal = hn::Set(d, 1.0F / static_cast<float>(width));
  parallel_for(rows, std::max<std::int64_t>(1, 16384 / width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T *from = x + r * width, *gradient = d_y + r * width;
      T* to = d_x + r * width;
      const Vec mean = hn::Set(d, means[r]), inverse = hn::Set(d, inverse_deviations[r]);
      Vec first = hn::Zero(d), second = hn::Zero(d);
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        constexpr bool is_part = decltype(part)::value;
        const Vec g = load_columns<is_part>(gradient + c, count);
        const Vec normal = hn::Mul(hn::Sub(load_columns<is_part>(from + c, count), mean), inverse);
        first = hn::Add(first, g);
        second = hn::MulAdd(g, normal, second);
      });
      const Vec mean_first = hn::Mul(hn::SumOfLanes(d, first), reciprocal);
      const Vec mean_second = hn::Mul(hn::SumOfLanes(d, second), reciprocal);
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        constexpr bool is_part = decltype(part)::value;
        const Vec g = load_columns<is_part>(gradient + c, count);
        const Vec normal = hn::Mul(hn::Sub(load_columns<is_part>(from + c, count), mean), inverse);
        const Vec rest = hn::NegMulAdd(normal, mean_second, hn::Sub(g, mean_first));
        store_columns<is_part>(hn::Mul(rest, inverse), to + c, count);
      });
    }
  });
}

void layer_norm_forward_target(std::int64_t rows, std::int64_t width, Element element, const void* x,
                               double eps, void* y, float* mean, float* inverse_deviation) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    forward(rows, width, static_cast<const T*>(x), eps, static_cast<T*>(y), mean, inverse_deviation);
  });
}

void layer_norm_backward_target(std::int64_t rows, std::int64_t width, Element element, const void* x,
                                const float* mean, const float* inverse_deviation, const void* d_y,
                                void* d_x) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    backward(rows, width, static_cast<const T*>(x), mean, inverse_deviation, static_cast<const T*>(d_y),
             static_cast<T*>(d_x));
  });
}

}  // namespace diffit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::cpu {

HWY_EXPORT(layer_norm_forward_target);
HWY_EXPORT(layer_norm_backward_target);

void layer_norm_forward(std::int64_t rows, std::int64_t width, Element element, const void* x, double eps,
                        void* y, float* mean, float* inverse_deviation) {
  HWY_DYNAMIC_DISPATCH(layer_norm_forward_target)(rows, width, element, x, eps, y, mean, inverse_deviation);
}

void layer_norm_backward(std::int64_t rows, std::int64_t width, Element element, const void* x,
                         const float* mean, const float* inverse_deviation, const void* d_y, void* d_x) {
  HWY_DYNAMIC_DISPATCH(layer_norm_backward_target)
  (rows, width, element, x, mean, inverse_deviation, d_y, d_x);
}

}  // namespace diffit::cpu
#endif
