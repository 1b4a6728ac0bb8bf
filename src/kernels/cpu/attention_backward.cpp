#include "kernels/cpu/attention.h"

#include "kernels/cpu/large_window.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::cpu::HWY_NAMESPACE {

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

  reduce_time(layout, d_time, d_qkv_t);
  reduce_bias(layout, d_bias, chunks, d_table);
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

HWY_EXPORT(attention_backward_target);

void attention_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                        const float* table, const void* d_out, void* d_qkv, void* d_qkv_t, float* d_table) {
  if (shape.window > 16) {
    return large_window_backward(shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
  }
  HWY_DYNAMIC_DISPATCH(attention_backward_target)
  (shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
}

}  // namespace diffit::cpu
#endif
