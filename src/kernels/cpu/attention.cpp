#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/large_window.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include <hwy/aligned_allocator.h>

#include "kernels/cpu/matmul-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::cpu::HWY_NAMESPACE {

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
void expand_bias(const Layout& layout, const float* table, float* bias) {
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

/// The table's gradient from that of each pair: expand_bias backwards, summed over `chunks` partial sums.
void reduce_bias(const Layout& layout, const float* d_bias, std::int64_t chunks, float* d_table) {
  const std::int64_t w = layout.shape.window, heads = layout.shape.heads, span = 2 * w - 1;
  const std::int64_t size = heads * layout.tokens * layout.queries;
  parallel_for(heads, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> entries(static_cast<std::size_t>(span * span));
    std::vector<float> row(static_cast<std::size_t>(layout.queries));
    for (std::int64_t h = begin; h < end; ++h) {
      std::fill(entries.begin(), entries.end(), 0.0F);
      for (std::int64_t key = 0; key < layout.tokens; ++key) {
        std::fill(row.begin(), row.end(), 0.0F);
        for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
          const float* from = d_bias + chunk * size + (h * layout.tokens + key) * layout.queries;
          for (std::int64_t q = 0; q < layout.queries; q += lanes) {
            store(hn::Add(load(row.data() + q), load(from + q)), row.data() + q);
          }
        }
        for (std::int64_t q = 0; q < layout.tokens; ++q) {
          const std::int64_t entry = (q / w - key / w + w - 1) * span + (q % w - key % w + w - 1);
          entries[static_cast<std::size_t>(entry)] += row[static_cast<std::size_t>(q)];
        }
      }
      for (std::int64_t e = 0; e < span * span; ++e) {
        d_table[e * heads + h] = entries[static_cast<std::size_t>(e)];
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

/// dS = P (dP - column sums of P dP), in place of dP; adds dS to d_bias.
HWY_INLINE void softmax_backward_columns(const float* HWY_RESTRICT p, float* HWY_RESTRICT dp,
                                         float* HWY_RESTRICT d_bias, std::int64_t tokens,
                                         std::int64_t stride) {
  for (std::int64_t v = 0; v < stride; v += lanes) {
    Vec sum = hn::Zero(F32());
    for (std::int64_t j = 0; j < tokens; ++j) {
      sum = hn::MulAdd(load(p + j * stride + v), load(dp + j * stride + v), sum);
    }
    for (std::int64_t j = 0; j < tokens; ++j) {
      const std::int64_t at = j * stride + v;
      const Vec ds = hn::Mul(load(p + at), hn::Sub(load(dp + at), sum));
      store(ds, dp + at);
      store(hn::Add(load(d_bias + at), ds), d_bias + at);
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

template <class T>
void forward(const AttentionShape& shape, const T* qkv, const T* qkv_t, const float* table, T* out) {
  const Layout layout(shape);
  const std::int64_t n = layout.tokens, width = layout.width, c = shape.channels();
  const std::int64_t block = std::min<std::int64_t>(layout.queries, 4 * lanes);  // queries scored at a time
  const auto bias = hwy::AllocateAligned<float>(static_cast<std::size_t>(shape.heads * n * layout.queries));
  expand_bias(layout, table, bias.get());

  parallel_for(layout.strips(), 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(3 * shape.heads * width + 5 * layout.queries * width + n * block + lanes * width + 256);
    float* time = scratch.take(3 * shape.heads * width);
    float* q = scratch.take(layout.queries * width);
    float* k = scratch.take(n * width);
    float* v = scratch.take(n * width);
    float* q_transposed = scratch.take(width * layout.queries);
    float* mixed = scratch.take(layout.queries * width);
    float* scores = scratch.take(n * block);
    float* repacked = scratch.take(lanes * width);
    for (std::int64_t index = begin; index < end; ++index) {
      const Strip strip = layout.strip(index);
      spread_time(layout, qkv_t + strip.sample * 3 * c, time);
      for (std::int64_t column = 0; column < layout.columns; ++column) {
        for (std::int64_t h = strip.first_head; h < strip.last_head; ++h) {
          const auto part = [&](std::int64_t which, float scale, float* to) {
            gather(layout, strip, column, qkv + which * c + h * shape.head_dim, 3 * c,
                   time + (which * shape.heads + h) * width, scale, to);
          };
          part(0, layout.scale, q);
          part(1, 1.0F, k);
          part(2, 1.0F, v);
          transpose({q, width}, layout.queries, width, {q_transposed, layout.queries}, repacked);
          const float* head_bias = bias.get() + h * n * layout.queries;
          for (std::int64_t first = 0; first < layout.queries; first += block) {
            const std::int64_t vectors = std::min(block, layout.queries - first) / lanes;
            matmul({k, width, 1}, {q_transposed + first, layout.queries}, {head_bias + first, layout.queries},
                   {scores, block}, n, vectors, shape.head_dim);
            softmax_columns(scores, n, block, vectors);
            matmul({scores, 1, block}, {v, width}, {nullptr, 0}, {mixed + first * width, width},
                   std::min(block, n - first), width / lanes, n);
          }
          scatter(layout, strip, column, mixed, 1.0F, out + h * shape.head_dim, c, nullptr);
        }
      }
    }
  });
}

template <class T>
void backward(const AttentionShape& shape, const T* qkv, const T* qkv_t, const float* table, const T* d_out,
              T* d_qkv, T* d_qkv_t, float* d_table) {
  const Layout layout(shape);
  const std::int64_t n = layout.tokens, width = layout.width, queries = layout.queries, c = shape.channels();
  const std::int64_t bias_size = shape.heads * n * queries, time_size = 3 * shape.heads * width;
  // A fixed number of chunks, each summed in order by one thread: the sums do not depend on the thread count.
  const std::int64_t chunks = std::min<std::int64_t>(layout.strips(), n <= 64 ? 16 : 4);
  Scratch shared((1 + chunks) * bias_size + layout.strips() * time_size + 64);
  float* bias = shared.take(bias_size);
  float* d_bias = shared.take(chunks * bias_size);
  float* d_time = shared.take(layout.strips() * time_size);
  expand_bias(layout, table, bias);

  const auto do_chunk = [&](std::int64_t chunk) {
    Scratch scratch(time_size + 9 * queries * width + 2 * n * queries + lanes * width + 256);
    float* time = scratch.take(time_size);
    float* q = scratch.take(queries * width);
    float* k = scratch.take(n * width);
    float* v = scratch.take(n * width);
    float* d_mixed = scratch.take(queries * width);
    float* q_transposed = scratch.take(width * queries);
    float* d_mixed_transposed = scratch.take(width * queries);
    float* d_rows = scratch.take(queries * width);
    float* zero = scratch.take(width);
    float* p = scratch.take(n * queries);
    float* dp = scratch.take(n * queries);
    float* repacked = scratch.take(lanes * width);
    for (std::int64_t index = chunk * layout.strips() / chunks;
         index < (chunk + 1) * layout.strips() / chunks; ++index) {
      const Strip strip = layout.strip(index);
      spread_time(layout, qkv_t + strip.sample * 3 * c, time);
      for (std::int64_t column = 0; column < layout.columns; ++column) {
        for (std::int64_t h = strip.first_head; h < strip.last_head; ++h) {
          const auto part = [&](std::int64_t which, float scale, float* to) {
            gather(layout, strip, column, qkv + which * c + h * shape.head_dim, 3 * c,
                   time + (which * shape.heads + h) * width, scale, to);
          };
          const auto put = [&](std::int64_t which, float scale) {
            scatter(layout, strip, column, d_rows, scale, d_qkv + which * c + h * shape.head_dim, 3 * c,
                    d_time + index * time_size + (which * shape.heads + h) * width);
          };
          part(0, layout.scale, q);
          part(1, 1.0F, k);
          part(2, 1.0F, v);
          gather(layout, strip, column, d_out + h * shape.head_dim, c, zero, 1.0F, d_mixed);
          transpose({q, width}, queries, width, {q_transposed, queries}, repacked);
          transpose({d_mixed, width}, queries, width, {d_mixed_transposed, queries}, repacked);

          const std::int64_t vectors = queries / lanes, wide = width / lanes;
          matmul({k, width, 1}, {q_transposed, queries}, {bias + h * n * queries, queries}, {p, queries}, n,
                 vectors, shape.head_dim);
          softmax_columns(p, n, queries, vectors);
          matmul({v, width, 1}, {d_mixed_transposed, queries}, {nullptr, 0}, {dp, queries}, n, vectors,
                 shape.head_dim);
          softmax_backward_columns(p, dp, d_bias + chunk * bias_size + h * n * queries, n, queries);

          matmul({p, queries, 1}, {d_mixed, width}, {nullptr, 0}, {d_rows, width}, n, wide, n);
          put(2, 1.0F);
          matmul({dp, queries, 1}, {q, width}, {nullptr, 0}, {d_rows, width}, n, wide, n);
          put(1, 1.0F);
          matmul({dp, 1, queries}, {k, width}, {nullptr, 0}, {d_rows, width}, n, wide, n);
          put(0, layout.scale);
        }
      }
    }
  };
  parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) do_chunk(chunk);
  });

  const std::int64_t per_sample = layout.rows * layout.head_groups;
  parallel_for(shape.batch, 8, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum(static_cast<std::size_t>(time_size));
    for (std::int64_t b = begin; b < end; ++b) {
      std::fill(sum.begin(), sum.end(), 0.0F);
      for (std::int64_t s = b * per_sample; s < (b + 1) * per_sample; ++s) {
        for (std::int64_t i = 0; i < time_size; ++i)
          sum[static_cast<std::size_t>(i)] += d_time[s * time_size + i];
      }
      T* to = d_qkv_t + b * 3 * c;
      const float* from = sum.data();
      for (std::int64_t part = 0; part < 3 * shape.heads; ++part, from += width, to += shape.head_dim) {
        for (std::int64_t i = 0; i < shape.head_dim; i += lanes) {
          store_part(load(from + i), to + i, std::min(lanes, shape.head_dim - i));
        }
      }
    }
  });
  reduce_bias(layout, d_bias, chunks, d_table);
}

void attention_forward_target(const AttentionShape& shape, Element element, const void* qkv,
                              const void* qkv_t, const float* table, void* out) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    forward(shape, static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), table, static_cast<T*>(out));
  });
}

void attention_backward_target(const AttentionShape& shape, Element element, const void* qkv,
                               const void* qkv_t, const float* table, const void* d_out, void* d_qkv,
                               void* d_qkv_t, float* d_table) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    backward(shape, static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), table,
             static_cast<const T*>(d_out), static_cast<T*>(d_qkv), static_cast<T*>(d_qkv_t), d_table);
  });
}

}  // namespace diffit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::cpu {

HWY_EXPORT(attention_forward_target);
HWY_EXPORT(attention_backward_target);

void attention_forward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                       const float* table, void* out) {
  if (takes_large_window(shape)) return large_window_forward(shape, element, qkv, qkv_t, table, out);
  HWY_DYNAMIC_DISPATCH(attention_forward_target)(shape, element, qkv, qkv_t, table, out);
}

void attention_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                        const float* table, const void* d_out, void* d_qkv, void* d_qkv_t, float* d_table) {
  HWY_DYNAMIC_DISPATCH(attention_backward_target)
  (shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
}

}  // namespace diffit::cpu
#endif
