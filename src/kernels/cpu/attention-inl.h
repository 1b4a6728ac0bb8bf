// What both passes of window attention share: the layout of the work and of its scratch, moving tokens in and
// out, softmax. Once per instruction set.
#if defined(DIFFIT_KERNELS_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DIFFIT_KERNELS_CPU_ATTENTION_INL_H_
#undef DIFFIT_KERNELS_CPU_ATTENTION_INL_H_
#else
#define DIFFIT_KERNELS_CPU_ATTENTION_INL_H_
#endif

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/matmul-inl.h"
#include "runtime/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

// The scores are held transposed, S^T [key, query]: a vector is one key and `lanes` queries, so that the
// softmax of a query runs down a column and needs no reduction across lanes. Scratch is padded to whole
// vectors: `width` is head_dim and `queries` the tokens of a window, both rounded up; padding is zero.

inline std::int64_t round_up(std::int64_t n) {
  return (n + lanes - 1) / lanes * lanes;
}

/// One contiguous run of work: windows of one strip (a row of windows) of one sample, some heads of it.
struct Strip {
  std::int64_t sample, row, first_head, last_head;
};

struct Layout {
  AttentionShape shape;
  std::int64_t tokens, width, queries, columns, rows, head_groups;
  float scale;

  explicit Layout(const AttentionShape& s)
      : shape(s),
        tokens(s.tokens()),
        width(round_up(s.head_dim)),
        queries(round_up(s.tokens())),
        columns(s.width / s.window),
        rows(s.height / s.window),
        head_groups(s.batch * rows >= 16 ? 1 : s.heads),
        scale(static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_dim)))) {}

  std::int64_t strips() const { return shape.batch * rows * head_groups; }
  Strip strip(std::int64_t index) const {
    const std::int64_t group = index % head_groups, row = index / head_groups % rows;
    const std::int64_t each = shape.heads / head_groups;
    return {index / head_groups / rows, row, group * each, (group + 1) * each};
  }
  /// Index of token `t` of the window in column `column` of the strip, in pixels of the whole batch.
  std::int64_t pixel(const Strip& strip, std::int64_t column, std::int64_t t) const {
    const std::int64_t y = strip.row * shape.window + t / shape.window;
    const std::int64_t x = column * shape.window + t % shape.window;
    return (strip.sample * shape.height + y) * shape.width + x;
  }
};

/// The bias of each (key, query) pair, [heads, tokens, queries], from the table.
inline void expand_bias(const Layout& layout, const float* table, float* bias) {
  const std::int64_t w = layout.shape.window, heads = layout.shape.heads, span = 2 * w - 1;
  parallel_for(heads, std::max<std::int64_t>(1, 65536 / (layout.tokens * layout.tokens)),
               [&](std::int64_t begin, std::int64_t end) {
                 std::vector<float> entries(static_cast<std::size_t>(span * span));
                 for (std::int64_t h = begin; h < end; ++h) {
                   for (std::int64_t e = 0; e < span * span; ++e) {
                     entries[static_cast<std::size_t>(e)] = table[e * heads + h];
                   }
                   for (std::int64_t key = 0; key < layout.tokens; ++key) {
                     float* row = bias + (h * layout.tokens + key) * layout.queries;
                     for (std::int64_t y = 0; y < w; ++y) {
                       const float* from = entries.data() + (y - key / w + w - 1) * span + (w - 1 - key % w);
                       std::copy(from, from + w, row + y * w);
                     }
                     std::fill(row + layout.tokens, row + layout.queries, 0.0F);
                   }
                 }
               });
}

/// to [count, width] = (rows of head_dim elements, `stride` apart per pixel + added) * scale.
template <class T>
HWY_INLINE void gather(const Layout& layout, const Strip& strip, std::int64_t column, const T* from,
                       std::int64_t stride, const float* added, float scale, float* HWY_RESTRICT to) {
  const std::int64_t d = layout.shape.head_dim, w = layout.shape.window, whole = d / lanes * lanes;
  const Vec factor = hn::Set(F32(), scale);
  for (std::int64_t y = 0; y < w; ++y) {
    const T* row = from + layout.pixel(strip, column, y * w) * stride;
    for (std::int64_t x = 0; x < w; ++x, row += stride, to += layout.width) {
      std::int64_t c = 0;
      for (; c < whole; c += lanes) {
        store(hn::Mul(hn::Add(load(row + c), load(added + c)), factor), to + c);
      }
      if (c < d) store(hn::Mul(hn::Add(load_part(row + c, d - c), load(added + c)), factor), to + c);
    }
  }
}

/// The reverse of gather: rows [tokens, width] * scale into the map; adds their sum to `sum` unless null.
template <class T>
HWY_INLINE void scatter(const Layout& layout, const Strip& strip, std::int64_t column,
                        const float* HWY_RESTRICT from, float scale, T* to, std::int64_t stride, float* sum) {
  const std::int64_t d = layout.shape.head_dim, w = layout.shape.window;
  const Vec factor = hn::Set(F32(), scale);
  for (std::int64_t c = 0; c < d; c += lanes) {
    Vec total = sum ? load(sum + c) : hn::Zero(F32());
    const float* row = from + c;
    for (std::int64_t y = 0; y < w; ++y) {
      T* target = to + layout.pixel(strip, column, y * w) * stride + c;
      for (std::int64_t x = 0; x < w; ++x, row += layout.width, target += stride) {
        const Vec v = hn::Mul(load(row), factor);
        total = hn::Add(total, v);
        if (c + lanes <= d) {
          store(v, target);
        } else {
          store_part(v, target, d - c);
        }
      }
    }
    if (sum) store(total, sum + c);
  }
}

/// The time token's q, k, v in float32, [3, heads, width], zero padded.
template <class T>
void spread_time(const Layout& layout, const T* qkv_t, float* to) {
  const std::int64_t d = layout.shape.head_dim;
  for (std::int64_t part = 0; part < 3 * layout.shape.heads; ++part, to += layout.width, qkv_t += d) {
    for (std::int64_t c = 0; c < d; c += lanes) {
      store(c + lanes <= d ? load(qkv_t + c) : load_part(qkv_t + c, d - c), to + c);
    }
  }
}

/// Softmax down the columns of scores [tokens, vectors * lanes], in place.
HWY_INLINE void softmax_columns(float* HWY_RESTRICT scores, std::int64_t tokens, std::int64_t stride,
                                std::int64_t vectors) {
  const F32 d;
  for (std::int64_t v = 0; v < vectors; ++v) {
    float* column = scores + v * lanes;
    Vec largest = load(column);
    for (std::int64_t j = 1; j < tokens; ++j) largest = hn::Max(largest, load(column + j * stride));
    Vec sum = hn::Zero(d);
    for (std::int64_t j = 0; j < tokens; ++j) {
      const Vec e = exponential(hn::Sub(load(column + j * stride), largest));
      sum = hn::Add(sum, e);
      store(e, column + j * stride);
    }
    const Vec inverse = hn::Div(hn::Set(d, 1.0F), sum);
    for (std::int64_t j = 0; j < tokens; ++j) {
      store(hn::Mul(load(column + j * stride), inverse), column + j * stride);
    }
  }
}

/// Zeroed scratch cut into pieces that start at cache lines.
class Scratch {
 public:
  explicit Scratch(std::int64_t floats)
      : floats_(static_cast<std::size_t>(floats)), data_(hwy::AllocateAligned<float>(floats_)) {
    std::fill(data_.get(), data_.get() + floats_, 0.0F);
  }
  float* take(std::int64_t floats) {
    float* piece = data_.get() + taken_;
    taken_ += static_cast<std::size_t>((floats + 15) / 16 * 16);
    return piece;
  }

 private:
  std::size_t floats_, taken_ = 0;
  hwy::AlignedFreeUniquePtr<float[]> data_;
};

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
