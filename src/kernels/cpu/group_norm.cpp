#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/norm.h"
#include "kernels/cpu/targets.h"
#include "runtime/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/group_norm.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

/// The numbers of one sample, per channel: a group's are spread over its channels, so that the loops over
/// pixels are the same for any group width.
struct Channels {
  std::vector<float> mean, inverse, first, second;
  std::vector<float> dz;  // backward: gradient before SiLU of the whole sample

  explicit Channels(std::int64_t channels)
      : mean(static_cast<std::size_t>(channels)), inverse(mean), first(mean), second(mean) {}
};

/// first[c] = sum over pixels of (x - mean[c])^power, power 1 or 2.
template <int Power, class T>
void channel_moments(const GroupNormShape& shape, const T* x, Channels& sample) {
  for_columns(shape.channels, [&](auto vectors, auto part, std::int64_t c, std::int64_t count) HWY_ATTR {
    constexpr int V = decltype(vectors)::value;
    constexpr bool is_part = decltype(part)::value;
    constexpr int ways = 2;  // independent sums, for the latency of an addition
    // Of 1024 pixels at most: a long float32 sum rounds each term to its own size.
    constexpr std::int64_t block = 1024;
    Vec mean[V], sum[ways][V], total[V];
    for (int v = 0; v < V; ++v) {
      mean[v] = load_columns<is_part>(sample.mean.data() + c + v * lanes, count);
      total[v] = hn::Zero(F32());
    }
    const auto add = [&](const T* row, Vec* to) HWY_ATTR {
      for (int v = 0; v < V; ++v) {
        const Vec centred = hn::Sub(load_columns<is_part>(row + v * lanes, count), mean[v]);
        to[v] = Power == 1 ? hn::Add(to[v], centred) : hn::MulAdd(centred, centred, to[v]);
      }
    };
    const T* row = x + c;
    for (std::int64_t p = 0; p < shape.pixels;) {
      for (auto& way : sum) {
        for (Vec& s : way) s = hn::Zero(F32());
      }
      const std::int64_t end = std::min(p + block, shape.pixels);
      for (; p + ways <= end; p += ways) {
        for (int w = 0; w < ways; ++w, row += shape.channels) add(row, sum[w]);
      }
      for (; p < end; ++p, row += shape.channels) add(row, sum[0]);
      for (int v = 0; v < V; ++v) total[v] = hn::Add(total[v], hn::Add(sum[0][v], sum[1][v]));
    }
    for (int v = 0; v < V; ++v) {
      store_columns<is_part>(total[v], sample.first.data() + c + v * lanes, count);
    }
  });
}

/// Sum of values over the channels of each group, passed on with the group's index.
template <class Use>
void for_groups(const GroupNormShape& shape, const float* values, const Use& use) {
  const std::int64_t each = shape.channels / shape.groups;
  for (std::int64_t g = 0; g < shape.groups; ++g) {
    double sum = 0;
    for (std::int64_t c = g * each; c < (g + 1) * each; ++c) sum += static_cast<double>(values[c]);
    use(g, sum);
  }
}

void spread(const GroupNormShape& shape, const float* of_groups, std::vector<float>& of_channels) {
  const std::int64_t each = shape.channels / shape.groups;
  for (std::int64_t c = 0; c < shape.channels; ++c)
    of_channels[static_cast<std::size_t>(c)] = of_groups[c / each];
}

template <class T>
void normalise(const GroupNormShape& shape, const T* x, const float* weight, const float* bias,
               const Channels& sample, T* y) {
  for_columns(shape.channels, [&](auto vectors, auto part, std::int64_t c, std::int64_t count) HWY_ATTR {
    constexpr int V = decltype(vectors)::value;
    constexpr bool is_part = decltype(part)::value;
    Vec mean[V], scale[V], shift[V];
    for (int v = 0; v < V; ++v) {
      const std::int64_t at = c + v * lanes;
      mean[v] = load_columns<is_part>(sample.mean.data() + at, count);
      scale[v] = hn::Mul(load_columns<is_part>(sample.inverse.data() + at, count),
                         load_columns<is_part>(weight + at, count));
      shift[v] = load_columns<is_part>(bias + at, count);
    }
    for (std::int64_t p = 0; p < shape.pixels; ++p) {
      const std::int64_t at = p * shape.channels + c;
      for (int v = 0; v < V; ++v) {
        const Vec centred = hn::Sub(load_columns<is_part>(x + at + v * lanes, count), mean[v]);
        const Vec z = hn::MulAdd(centred, scale[v], shift[v]);
        store_columns<is_part>(shape.silu ? hn::Mul(z, sigmoid(z)) : z, y + at + v * lanes, count);
      }
    }
  });
}

template <class T>
void forward(const GroupNormShape& shape, const T* x, const float* weight, const float* bias, double eps,
             T* y, float* mean, float* inverse_deviation) {
  const std::int64_t numbers = shape.pixels * shape.channels;
  const double each = static_cast<double>(numbers / shape.groups);
  parallel_for(
      shape.batch, std::max<std::int64_t>(1, 16384 / numbers), [&](std::int64_t begin, std::int64_t end) {
        Channels sample(shape.channels);
        for (std::int64_t b = begin; b < end; ++b) {
          float *mean_of = mean + b * shape.groups, *inverse_of = inverse_deviation + b * shape.groups;
          std::fill(sample.mean.begin(), sample.mean.end(), 0.0F);
          channel_moments<1>(shape, x + b * numbers, sample);
          for_groups(shape, sample.first.data(),
                     [&](std::int64_t g, double sum) { mean_of[g] = static_cast<float>(sum / each); });
          spread(shape, mean_of, sample.mean);
          channel_moments<2>(shape, x + b * numbers, sample);
          for_groups(shape, sample.first.data(), [&](std::int64_t g, double sum) {
            inverse_of[g] = static_cast<float>(1 / std::sqrt(sum / each + eps));
          });
          spread(shape, inverse_of, sample.inverse);
          normalise(shape, x + b * numbers, weight, bias, sample, y + b * numbers);
        }
      });
}

/// Into sample.dz the gradient before SiLU, and its sums per channel: first = sum dz, second = sum dz *
/// normal.
template <class T>
void gradient_before_silu(const GroupNormShape& shape, const T* x, const float* weight, const float* bias,
                          const T* d_y, Channels& sample) {
  for_columns(shape.channels, [&](auto vectors, auto part, std::int64_t c, std::int64_t count) HWY_ATTR {
    constexpr int V = decltype(vectors)::value;
    constexpr bool is_part = decltype(part)::value;
    const Vec one = hn::Set(F32(), 1.0F);
    Vec mean[V], inverse[V], scale[V], shift[V], first[V], second[V];
    for (int v = 0; v < V; ++v) {
      const std::int64_t at = c + v * lanes;
      mean[v] = load_columns<is_part>(sample.mean.data() + at, count);
      inverse[v] = load_columns<is_part>(sample.inverse.data() + at, count);
      scale[v] = load_columns<is_part>(weight + at, count);
      shift[v] = load_columns<is_part>(bias + at, count);
      first[v] = second[v] = hn::Zero(F32());
    }
    for (std::int64_t p = 0; p < shape.pixels; ++p) {
      for (int v = 0; v < V; ++v) {
        const std::int64_t at = p * shape.channels + c + v * lanes;
        const Vec normal = hn::Mul(hn::Sub(load_columns<is_part>(x + at, count), mean[v]), inverse[v]);
        Vec dz = load_columns<is_part>(d_y + at, count);
        if (shape.silu) {
          const Vec z = hn::MulAdd(normal, scale[v], shift[v]), s = sigmoid(z);
          dz = hn::Mul(hn::Mul(dz, s), hn::MulAdd(z, hn::Sub(one, s), one));
        }
        first[v] = hn::Add(first[v], dz);
        second[v] = hn::MulAdd(dz, normal, second[v]);
        store_columns<is_part>(dz, sample.dz.data() + at, count);
      }
    }
    for (int v = 0; v < V; ++v) {
      store_columns<is_part>(first[v], sample.first.data() + c + v * lanes, count);
      store_columns<is_part>(second[v], sample.second.data() + c + v * lanes, count);
    }
  });
}

/// d_x = inverse * (weight * dz - mean_first - normal * mean_second), where the means of weight * dz and
/// weight * dz * normal over the group lie in sample.first and sample.second.
template <class T>
void gradient_of_input(const GroupNormShape& shape, const T* x, const float* weight, const Channels& sample,
                       T* d_x) {
  for_columns(shape.channels, [&](auto vectors, auto part, std::int64_t c, std::int64_t count) HWY_ATTR {
    constexpr int V = decltype(vectors)::value;
    constexpr bool is_part = decltype(part)::value;
    Vec mean[V], inverse[V], scale[V], first[V], second[V];
    for (int v = 0; v < V; ++v) {
      const std::int64_t at = c + v * lanes;
      mean[v] = load_columns<is_part>(sample.mean.data() + at, count);
      inverse[v] = load_columns<is_part>(sample.inverse.data() + at, count);
      scale[v] = hn::Mul(load_columns<is_part>(weight + at, count), inverse[v]);
      first[v] = hn::Mul(load_columns<is_part>(sample.first.data() + at, count), inverse[v]);
      second[v] =
          hn::Mul(hn::Mul(load_columns<is_part>(sample.second.data() + at, count), inverse[v]), inverse[v]);
    }
    for (std::int64_t p = 0; p < shape.pixels; ++p) {
      for (int v = 0; v < V; ++v) {
        const std::int64_t at = p * shape.channels + c + v * lanes;
        const Vec centred = hn::Sub(load_columns<is_part>(x + at, count), mean[v]);
        const Vec dz = load_columns<is_part>(sample.dz.data() + at, count);
        store_columns<is_part>(hn::NegMulAdd(centred, second[v], hn::MulSub(scale[v], dz, first[v])),
                               d_x + at, count);
      }
    }
  });
}

template <class T>
void backward(const GroupNormShape& shape, const T* x, const float* weight, const float* bias,
              const float* mean, const float* inverse_deviation, const T* d_y, T* d_x, float* d_weight,
              float* d_bias) {
  const std::int64_t numbers = shape.pixels * shape.channels, channels = shape.channels;
  const double each = static_cast<double>(numbers / shape.groups);
  std::vector<float> sums(static_cast<std::size_t>(2 * shape.batch * channels));  // of each sample, in order
  parallel_for(shape.batch, std::max<std::int64_t>(1, 16384 / numbers),
               [&](std::int64_t begin, std::int64_t end) {
                 Channels sample(channels);
                 sample.dz.resize(static_cast<std::size_t>(numbers));
                 std::vector<float> of_groups(static_cast<std::size_t>(shape.groups));
                 for (std::int64_t b = begin; b < end; ++b) {
                   spread(shape, mean + b * shape.groups, sample.mean);
                   spread(shape, inverse_deviation + b * shape.groups, sample.inverse);
                   gradient_before_silu(shape, x + b * numbers, weight, bias, d_y + b * numbers, sample);
                   float* sums_of = sums.data() + 2 * b * channels;
                   const auto to_group_means = [&](std::vector<float>& values) {
                     sums_of = std::copy(values.begin(), values.end(), sums_of);
                     for (std::int64_t c = 0; c < channels; ++c)
                       values[static_cast<std::size_t>(c)] *= weight[c];
                     for_groups(shape, values.data(), [&](std::int64_t g, double sum) {
                       of_groups[static_cast<std::size_t>(g)] = static_cast<float>(sum / each);
                     });
                     spread(shape, of_groups.data(), values);
                   };
                   to_group_means(sample.first);
                   to_group_means(sample.second);
                   gradient_of_input(shape, x + b * numbers, weight, sample, d_x + b * numbers);
                 }
               });
  for (std::int64_t c = 0; c < channels; ++c) {
    double first = 0, second = 0;
    for (std::int64_t b = 0; b < shape.batch; ++b) {
      first += static_cast<double>(sums[static_cast<std::size_t>(2 * b * channels + c)]);
      second += static_cast<double>(sums[static_cast<std::size_t>((2 * b + 1) * channels + c)]);
    }
    d_bias[c] = static_cast<float>(first);
    d_weight[c] = static_cast<float>(second);
  }
}

void group_norm_forward_target(const GroupNormShape& shape, Element element, const void* x,
                               const float* weight, const float* bias, double eps, void* y, float* mean,
                               float* inverse_deviation) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    forward(shape, static_cast<const T*>(x), weight, bias, eps, static_cast<T*>(y), mean, inverse_deviation);
  });
}

void group_norm_backward_target(const GroupNormShape& shape, Element element, const void* x,
                                const float* weight, const float* bias, const float* mean,
                                const float* inverse_deviation, const void* d_y, void* d_x, float* d_weight,
                                float* d_bias) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    backward(shape, static_cast<const T*>(x), weight, bias, mean, inverse_deviation,
             static_cast<const T*>(d_y), static_cast<T*>(d_x), d_weight, d_bias);
  });
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(group_norm_forward_target);
HWY_EXPORT(group_norm_backward_target);

void group_norm_forward(const GroupNormShape& shape, Element element, const void* x, const float* weight,
                        const float* bias, double eps, void* y, float* mean, float* inverse_deviation) {
  HWY_DYNAMIC_DISPATCH(group_norm_forward_target)
  (shape, element, x, weight, bias, eps, y, mean, inverse_deviation);
}

void group_norm_backward(const GroupNormShape& shape, Element element, const void* x, const float* weight,
                         const float* bias, const float* mean, const float* inverse_deviation,
                         const void* d_y, void* d_x, float* d_weight, float* d_bias) {
  HWY_DYNAMIC_DISPATCH(group_norm_backward_target)
  (shape, element, x, weight, bias, mean, inverse_deviation, d_y, d_x, d_weight, d_bias);
}

}  // namespace diffit::kernels::cpu
#endif
