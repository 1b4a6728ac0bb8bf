#include <algorithm>

#include "kernels/cpu/norm.h"
#include "kernels/cpu/targets.h"
#include "runtime/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

// A row is short (32 to 2000 numbers) and stays in the first-level cache: it is read once per pass. Lanes
// behind a row's end hold zeros where they are summed.

/// Calls use(offset, count, is whole) for each vector of a row.
template <class Use>
HWY_INLINE void for_vectors(std::int64_t width, const Use& use) {
  std::int64_t c = 0;
  for (; c + lanes <= width; c += lanes) use(c, lanes, std::false_type());
  if (c < width) use(c, width - c, std::true_type());
}

struct Moments {
  Vec mean, inverse_deviation;
};

/// The moments of a row whose numbers add up to `sum`.
template <class T>
HWY_INLINE Moments moments_of(const T* row, std::int64_t width, Vec sum, float eps) {
  const F32 d;
  const Vec reciprocal = hn::Set(d, 1.0F / static_cast<float>(width));
  const Vec mean = hn::Mul(hn::SumOfLanes(d, sum), reciprocal);
  Vec squares = hn::Zero(d);
  for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
    Vec centred = hn::Sub(load_columns<decltype(part)::value>(row + c, count), mean);
    if (part) centred = hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(count)), centred);
    squares = hn::MulAdd(centred, centred, squares);
  });
  const Vec variance = hn::Mul(hn::SumOfLanes(d, squares), reciprocal);
  return {mean, hn::Div(hn::Set(d, 1.0F), hn::Sqrt(hn::Add(variance, hn::Set(d, eps))))};
}

template <class From, class To>
HWY_INLINE void normalise(const From* row, std::int64_t width, const Moments& moments, To* to) {
  for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
    constexpr bool is_part = decltype(part)::value;
    const Vec centred = hn::Sub(load_columns<is_part>(row + c, count), moments.mean);
    store_columns<is_part>(hn::Mul(centred, moments.inverse_deviation), to + c, count);
  });
}

template <class T>
void forward(std::int64_t rows, std::int64_t width, const T* x, double eps, T* y, float* means,
             float* inverse_deviations) {
  const F32 d;
  parallel_for(rows, std::max<std::int64_t>(1, 16384 / width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* from = x + r * width;
      Vec sum = hn::Zero(d);
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        sum = hn::Add(sum, load_columns<decltype(part)::value>(from + c, count));
      });
      const Moments moments = moments_of(from, width, sum, static_cast<float>(eps));
      normalise(from, width, moments, y + r * width);
      if (means) {
        means[r] = hn::GetLane(moments.mean);
        inverse_deviations[r] = hn::GetLane(moments.inverse_deviation);
      }
    }
  });
}

template <class T>
void add_forward(std::int64_t rows, std::int64_t width, float* stream, const T* added, double eps, T* y) {
  const F32 d;
  parallel_for(rows, std::max<std::int64_t>(1, 16384 / width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* row = stream + r * width;
      const T* summand = added + r * width;
      Vec sum = hn::Zero(d);
      for_vectors(width, [&](std::int64_t c, std::int64_t count, auto part) HWY_ATTR {
        constexpr bool is_part = decltype(part)::value;
        const Vec moved =
            hn::Add(load_columns<is_part>(row + c, count), load_columns<is_part>(summand + c, count));
        store_columns<is_part>(moved, row + c, count);
        sum = hn::Add(sum, moved);
      });
      normalise(row, width, moments_of(row, width, sum, static_cast<float>(eps)), y + r * width);
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

void add_layer_norm_target(std::int64_t rows, std::int64_t width, Element element, float* stream,
                           const void* added, double eps, void* y) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    add_forward(rows, width, stream, static_cast<const T*>(added), eps, static_cast<T*>(y));
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

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(layer_norm_forward_target);
HWY_EXPORT(layer_norm_backward_target);
HWY_EXPORT(add_layer_norm_target);

void layer_norm_forward(std::int64_t rows, std::int64_t width, Element element, const void* x, double eps,
                        void* y, float* mean, float* inverse_deviation) {
  HWY_DYNAMIC_DISPATCH(layer_norm_forward_target)(rows, width, element, x, eps, y, mean, inverse_deviation);
}

void add_layer_norm(std::int64_t rows, std::int64_t width, Element element, float* stream, const void* added,
                    double eps, void* y) {
  HWY_DYNAMIC_DISPATCH(add_layer_norm_target)(rows, width, element, stream, added, eps, y);
}

void layer_norm_backward(std::int64_t rows, std::int64_t width, Element element, const void* x,
                         const float* mean, const float* inverse_deviation, const void* d_y, void* d_x) {
  HWY_DYNAMIC_DISPATCH(layer_norm_backward_target)
  (rows, width, element, x, mean, inverse_deviation, d_y, d_x);
}

}  // namespace diffit::kernels::cpu
#endif
