#include "kernels/cpu/large_window.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/cpu/targets.h"
#include "runtime/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/large_window.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include <hwy/aligned_allocator.h>

#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/matmul-inl.h"

HWY_BEFORE_NAMESPACE();
#if DIFFIT_BFLOAT16_DOT
#pragma GCC target("avx512bf16")
#endif
namespace diffit::kernels::cpu::HWY_NAMESPACE {

// One task is one head of one window. Scores are held transposed, S^T [key, query], for a block of queries at
// a time: a vector is one key and `lanes` queries of one row of the window, so that its bias is a run of the
// table and the softmax of a query runs down a column. The output is transposed as well, O^T [head_dim,
// query], for head_dim need be no multiple of the vector. Scores are in units of log2: probabilities are
// powers of two.

inline constexpr float log2_e = 1.44269504F;
inline constexpr int tile_rows = 4, tile_vectors = lanes == 16 ? 4 : 2;
inline constexpr std::int64_t block = tile_vectors * lanes;  // queries

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

struct LargeWindow {
  AttentionShape shape;
  std::int64_t tokens, rows, columns, span;

  explicit LargeWindow(const AttentionShape& s)
      : shape(s),
        tokens(s.tokens()),
        rows(s.height / s.window),
        columns(s.width / s.window),
        span(2 * s.window - 1) {}

  std::int64_t tasks() const { return shape.batch * rows * columns * shape.heads; }
};

/// The table by heads, [heads, span * span], times log2(e).
inline void sort_by_heads(const LargeWindow& w, const float* table, float* entries) {
  const std::int64_t heads = w.shape.heads, size = w.span * w.span;
  parallel_for(heads, std::max<std::int64_t>(1, 32768 / size), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t h = begin; h < end; ++h) {
      for (std::int64_t e = 0; e < size; ++e) entries[h * size + e] = table[e * heads + h] * log2_e;
    }
  });
}

/// The work on one head of one window, with its scratch.
template <class Dot, class T>
class HeadTask {
 public:
  HeadTask(const LargeWindow& w, const T* qkv, const T* qkv_t, const float* entries, T* out)
      : w_(w),
        qkv_(qkv),
        qkv_t_(qkv_t),
        entries_(entries),
        out_(out),
        width_(round_up(w.shape.head_dim, lanes)),
        units_((w.shape.head_dim + Dot::numbers - 1) / Dot::numbers),
        stride_(width_ / Dot::numbers),
        scale_(log2_e / std::sqrt(static_cast<float>(w.shape.head_dim))),
        memory_(hwy::AllocateAligned<float>(static_cast<std::size_t>(
            2 * w.tokens * stride_ + w.tokens * (stride_ + width_ / Dot::numbers) + w.tokens * block +
            2 * width_ * block + lanes * (width_ + block) + 3 * width_))) {
    float* at = memory_.get();
    const auto take = [&](std::int64_t floats) { return std::exchange(at, at + floats); };
    time_ = take(3 * width_);
    rows_ = take(w.tokens * stride_);
    keys_ = take(w.tokens * stride_);
    queries_ = take(w.tokens * stride_);
    values_ = take(w.tokens * width_ / Dot::numbers);
    scores_ = take(w.tokens * block);
    mixed_ = take(width_ * block);
    mixed_rows_ = take(width_ * block);
    repacked_ = take(lanes * std::max(width_, block));
    std::fill(mixed_, mixed_ + width_ * block, 0.0F);  // the rows behind head_dim are moved, too
  }

  void run(std::int64_t task) {
    head_ = task % w_.shape.heads;
    const std::int64_t window = task / w_.shape.heads;
    column_ = window % w_.columns * w_.shape.window;
    row_ = window / w_.columns % w_.rows * w_.shape.window;
    sample_ = window / w_.columns / w_.rows;
    pack();
    for (std::int64_t first = 0; first < w_.tokens; first += block) {
      score(first);
      exponentiate();
      mix(first);
    }
  }

 private:
  std::int64_t pixel(std::int64_t token) const {
    const std::int64_t y = row_ + token / w_.shape.window, x = column_ + token % w_.shape.window;
    return (sample_ * w_.shape.height + y) * w_.shape.width + x;
  }
  static Vec load_columns_of(const T* from, std::int64_t count) {
    return count >= lanes ? load(from) : load_part(from, count);
  }
  /// Element `first` and on of q (0), k (1) or v (2) of a token, the time token's part added.
  HWY_INLINE Vec part(std::int64_t which, const T* token, std::int64_t first) const {
    const Vec x = load_columns_of(token + which * w_.shape.channels() + first, w_.shape.head_dim - first);
    return hn::Add(x, load(time_ + which * width_ + first));
  }

  void pack() {
    const std::int64_t d = w_.shape.head_dim, channels = w_.shape.channels();
    for (std::int64_t which = 0; which < 3; ++which) {
      const T* from = qkv_t_ + (sample_ * 3 + which) * channels + head_ * d;
      for (std::int64_t c = 0; c < d; c += lanes) {
        store(load_columns_of(from + c, d - c), time_ + which * width_ + c);
      }
    }
    const Vec scale = hn::Set(F32(), scale_);
    for (std::int64_t t = 0; t < w_.tokens; t += Dot::numbers) {
      const T* token = qkv_ + pixel(t) * 3 * channels + head_ * d;
      for (std::int64_t c = 0; c < d; c += lanes) {
        for (std::int64_t n = 0; n < Dot::numbers; ++n) {
          const T* one = token + n * 3 * channels;
          Dot::pack_row(hn::Mul(part(0, one, c), scale), rows_ + (t + n) * stride_, c);
          Dot::pack_row(part(1, one, c), keys_ + (t + n) * stride_, c);
        }
        store(Dot::pack_rows(part(2, token, c), part(2, token + (Dot::numbers - 1) * 3 * channels, c)),
              values_ + t / Dot::numbers * width_ + c);
      }
    }
    transpose({rows_, stride_}, w_.tokens, stride_, {queries_, w_.tokens}, repacked_);
  }

  /// scores [key, block] of the queries from `first` on, bias included, and the largest of each query.
  void score(std::int64_t first) {
    const std::int64_t side = w_.shape.window, span = w_.span;
    const float* bias[tile_vectors];
    Vec largest[tile_vectors];
    for (int v = 0; v < tile_vectors; ++v) {
      const std::int64_t query = first + v * lanes;
      bias[v] = entries_ + head_ * span * span + (query / side + side - 1) * span + query % side + side - 1;
      largest[v] = hn::Set(F32(), -3.4e38F);
    }
    for (std::int64_t key = 0; key < w_.tokens; key += tile_rows) {
      const std::int64_t offset = key / side * span + key % side;
      float* to = scores_ + key * block;
      dot_tile<Dot, tile_rows, tile_vectors>(
          keys_ + key * stride_, stride_, 1, queries_ + first, w_.tokens, units_,
          [&](int r, int v) HWY_ATTR { return load(bias[v] - offset - r); },
          [&](int r, int v, Vec sum) HWY_ATTR {
            largest[v] = hn::Max(largest[v], sum);
            store(sum, to + r * block + v * lanes);
          });
    }
    for (int v = 0; v < tile_vectors; ++v) largest_[v] = largest[v];
  }

  /// Probabilities times their sum, packed down the keys, in place of the scores.
  void exponentiate() {
    for (int v = 0; v < tile_vectors; ++v) {
      const Vec largest = largest_[v];
      Vec sums[2] = {hn::Zero(F32()), hn::Zero(F32())};
      const float* from = scores_ + v * lanes;
      float* to = scores_ + v * lanes;
      for (std::int64_t key = 0; key < w_.tokens; key += 2, from += 2 * block) {
        const Vec even = power_of_two<Dot>(hn::Sub(load(from), largest));
        const Vec odd = power_of_two<Dot>(hn::Sub(load(from + block), largest));
        sums[0] = hn::Add(sums[0], even);
        sums[1] = hn::Add(sums[1], odd);
        store(Dot::pack_rows(even, odd), to);
        to += block;
        if constexpr (Dot::numbers == 1) {
          store(odd, to);
          to += block;
        }
      }
      inverse_[v] = hn::Div(hn::Set(F32(), 1.0F), hn::Add(sums[0], sums[1]));
    }
  }

  void mix(std::int64_t first) {
    const std::int64_t d = w_.shape.head_dim, depth = w_.tokens / Dot::numbers;
    const auto rows = [&]<int R>(std::int64_t c, std::integral_constant<int, R>) {
      dot_tile<Dot, R, tile_vectors>(
          values_ + c, 1, width_, scores_, block, depth, [](int, int) HWY_ATTR { return hn::Zero(F32()); },
          [&](int r, int v, Vec sum)
              HWY_ATTR { store(hn::Mul(sum, inverse_[v]), mixed_ + (c + r) * block + v * lanes); });
    };
    std::int64_t c = 0;
    for (; c + tile_rows <= d; c += tile_rows) rows(c, std::integral_constant<int, tile_rows>());
    for (; c < d; ++c) rows(c, std::integral_constant<int, 1>());
    transpose({mixed_, block}, width_, block, {mixed_rows_, width_}, repacked_);
    const std::int64_t channels = w_.shape.channels();
    for (std::int64_t q = 0; q < block; ++q) {
      T* to = out_ + pixel(first + q) * channels + head_ * d;
      const float* from = mixed_rows_ + q * width_;
      for (c = 0; c + lanes <= d; c += lanes) store(load(from + c), to + c);
      if (c < d) store_part(load(from + c), to + c, d - c);
    }
  }

  const LargeWindow& w_;
  const T *qkv_, *qkv_t_;
  const float* entries_;
  T* out_;
  std::int64_t width_, units_, stride_;  // head_dim in whole vectors; in units, and with the padding
  float scale_;
  hwy::AlignedFreeUniquePtr<float[]> memory_;
  float *time_, *rows_, *keys_, *queries_, *values_, *scores_, *mixed_, *mixed_rows_, *repacked_;
  Vec largest_[tile_vectors], inverse_[tile_vectors];
  std::int64_t head_ = 0, column_ = 0, row_ = 0, sample_ = 0;
};

template <class Dot, class T>
void forward(const AttentionShape& shape, const T* qkv, const T* qkv_t, const float* table, T* out) {
  const LargeWindow w(shape);
  const auto entries = hwy::AllocateAligned<float>(static_cast<std::size_t>(w.span * w.span * shape.heads));
  sort_by_heads(w, table, entries.get());
  parallel_for(w.tasks(), 1, [&](std::int64_t begin, std::int64_t end) {
    HeadTask<Dot, T> head(w, qkv, qkv_t, entries.get(), out);
    for (std::int64_t task = begin; task < end; ++task) head.run(task);
  });
}

void large_window_target(const AttentionShape& shape, Element element, [[maybe_unused]] bool pairs,
                         const void* qkv, const void* qkv_t, const float* table, void* out) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    const auto run = [&]<class Dot>(Dot) {
      forward<Dot>(shape, static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), table,
                   static_cast<T*>(out));
    };
#if DIFFIT_BFLOAT16_DOT
    if constexpr (std::is_same_v<T, bfloat16_bits>) {
      if (pairs) return run(Bfloat16Dot());
    }
#endif
    run(Float32Dot());
  });
}

std::int64_t lanes_target() {
  return lanes;
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(large_window_target);
HWY_EXPORT(lanes_target);

bool multiplies_bfloat16() {
#if defined(__x86_64__) && !defined(__clang__)
  static const bool native = __builtin_cpu_supports("avx512bf16") != 0;
  return native;
#else
  return false;
#endif
}

bool takes_large_window(const AttentionShape& shape) {
  return shape.window >= 16 && shape.window % HWY_DYNAMIC_DISPATCH(lanes_target)() == 0;
}

void large_window_forward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                          const float* table, void* out) {
  HWY_DYNAMIC_DISPATCH(large_window_target)
  (shape, element, multiplies_bfloat16(), qkv, qkv_t, table, out);
}

}  // namespace diffit::kernels::cpu
#endif
