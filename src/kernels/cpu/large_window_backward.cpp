#include "kernels/cpu/large_window.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/large_window_backward.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::cpu::HWY_NAMESPACE {

// Scores are made again for some rows of queries at a time, S^T [key, query] as in the other kernels; keys'
// and values' gradients are summed over the blocks. The table is read and its gradient summed by runs: the
// queries of one row of the window meet a key in consecutive entries.

struct QueryBlock {
  std::int64_t first, count, stride;  // queries, and `count` in whole vectors
};

/// The first entry of a head's table that row `y` of the window's queries meets a key in.
inline std::int64_t run_of(const Layout& layout, std::int64_t y, std::int64_t key) {
  const std::int64_t w = layout.shape.window;
  return (y - key / w + w - 1) * (2 * w - 1) + (w - 1 - key % w);
}

/// scores [key, stride] = the bias of each pair; zero in the padding.
HWY_INLINE void fill_bias(const Layout& layout, const QueryBlock& block, const float* HWY_RESTRICT entries,
                          float* HWY_RESTRICT scores) {
  const std::int64_t w = layout.shape.window;
  for (std::int64_t key = 0; key < layout.tokens; ++key, scores += block.stride) {
    for (std::int64_t q = 0; q < block.count; q += w) {
      const float* from = entries + run_of(layout, (block.first + q) / w, key);
      std::copy(from, from + w, scores + q);
    }
    std::fill(scores + block.count, scores + block.stride, 0.0F);
  }
}

/// dS = P (dP - column sums of P dP), in place of dP; adds dS to the head's table.
HWY_INLINE void softmax_backward(const Layout& layout, const QueryBlock& block, const float* HWY_RESTRICT p,
                                 float* HWY_RESTRICT dp, float* HWY_RESTRICT d_entries) {
  for (std::int64_t v = 0; v < block.stride; v += lanes) {
    Vec sum = hn::Zero(F32());
    for (std::int64_t j = 0; j < layout.tokens; ++j) {
      const std::int64_t at = j * block.stride + v;
      sum = hn::MulAdd(load(p + at), load(dp + at), sum);
    }
    for (std::int64_t j = 0; j < layout.tokens; ++j) {
      const std::int64_t at = j * block.stride + v;
      store(hn::Mul(load(p + at), hn::Sub(load(dp + at), sum)), dp + at);
    }
  }
  const std::int64_t w = layout.shape.window;
  for (std::int64_t key = 0; key < layout.tokens; ++key) {
    for (std::int64_t q = 0; q < block.count; q += w) {
      const float* from = dp + key * block.stride + q;
      float* to = d_entries + run_of(layout, (block.first + q) / w, key);
      for (std::int64_t x = 0; x < w; ++x) to[x] += from[x];
    }
  }
}

template <class T>
void large_backward(const AttentionShape& shape, const T* qkv, const T* qkv_t, const float* table,
                    const T* d_out, T* d_qkv, T* d_qkv_t, float* d_table) {
  const Layout layout(shape);
  const std::int64_t n = layout.tokens, width = layout.width, c = shape.channels(), w = shape.window;
  const std::int64_t span = 2 * w - 1, table_size = shape.heads * span * span;
  const std::int64_t time_size = 3 * shape.heads * width;
  // Whole rows of the window, some 64 queries.
  const std::int64_t rows_a_block = std::max<std::int64_t>(1, 64 / w), most = round_up(rows_a_block * w);
  // A fixed number of chunks, each summed in order by one thread: the sums do not depend on the thread count.
  const std::int64_t chunks = std::min<std::int64_t>(layout.strips(), 32);
  Scratch shared((1 + chunks) * table_size + layout.strips() * time_size + 64);
  float* entries = shared.take(table_size);
  float* d_entries = shared.take(chunks * table_size);
  float* d_time = shared.take(layout.strips() * time_size);
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    for (std::int64_t e = 0; e < span * span; ++e) entries[h * span * span + e] = table[e * shape.heads + h];
  }

  const auto do_chunk = [&](std::int64_t chunk) {
    const std::int64_t padded = n + lanes;
    Scratch scratch(time_size + 7 * padded * width + 2 * width * most + 2 * n * most + (lanes + 1) * width +
                    256);
    float* time = scratch.take(time_size);
    float* q = scratch.take(padded * width);
    float* k = scratch.take(padded * width);
    float* v = scratch.take(padded * width);
    float* d_mixed = scratch.take(padded * width);
    float* d_q = scratch.take(padded * width);
    float* d_k = scratch.take(padded * width);
    float* d_v = scratch.take(padded * width);
    float* q_transposed = scratch.take(width * most);
    float* d_mixed_transposed = scratch.take(width * most);
    float* zero = scratch.take(width);
    float* p = scratch.take(n * most);
    float* dp = scratch.take(n * most);
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
          const auto put = [&](std::int64_t which, float scale, const float* rows) {
            scatter(layout, strip, column, rows, scale, d_qkv + which * c + h * shape.head_dim, 3 * c,
                    d_time + index * time_size + (which * shape.heads + h) * width);
          };
          part(0, layout.scale, q);
          part(1, 1.0F, k);
          part(2, 1.0F, v);
          gather(layout, strip, column, d_out + h * shape.head_dim, c, zero, 1.0F, d_mixed);
          std::fill(d_k, d_k + n * width, 0.0F);
          std::fill(d_v, d_v + n * width, 0.0F);
          const std::int64_t wide = width / lanes;
          for (std::int64_t row = 0; row < w; row += rows_a_block) {
            const std::int64_t count = std::min(rows_a_block, w - row) * w;
            const QueryBlock block{row * w, count, round_up(count)};
            const float *q_block = q + block.first * width, *d_mixed_block = d_mixed + block.first * width;
            const std::int64_t stride = block.stride, vectors = stride / lanes;
            // Behind the window's last token lies what pads it, zero: of a block within, the next block.
            transpose({q_block, width}, stride, width, {q_transposed, stride}, repacked);
            transpose({d_mixed_block, width}, stride, width, {d_mixed_transposed, stride}, repacked);
            fill_bias(layout, block, entries + h * span * span, p);
            matmul({k, width, 1}, {q_transposed, stride}, {p, stride}, {p, stride}, n, vectors,
                   shape.head_dim);
            softmax_columns(p, n, stride, vectors);
            matmul({v, width, 1}, {d_mixed_transposed, stride}, {nullptr, 0}, {dp, stride}, n, vectors,
                   shape.head_dim);
            softmax_backward(layout, block, p, dp, d_entries + chunk * table_size + h * span * span);
            matmul({p, stride, 1}, {d_mixed_block, width}, {d_v, width}, {d_v, width}, n, wide, count);
            matmul({dp, stride, 1}, {q_block, width}, {d_k, width}, {d_k, width}, n, wide, count);
            matmul({dp, 1, stride}, {k, width}, {nullptr, 0}, {d_q + block.first * width, width}, count, wide,
                   n);
          }
          put(0, layout.scale, d_q);
          put(1, 1.0F, d_k);
          put(2, 1.0F, d_v);
        }
      }
    }
  };
  parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) do_chunk(chunk);
  });

  reduce_time(layout, d_time, d_qkv_t);
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    for (std::int64_t e = 0; e < span * span; ++e) {
      float sum = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        sum += d_entries[chunk * table_size + h * span * span + e];
      }
      d_table[e * shape.heads + h] = sum;
    }
  }
}

void large_window_backward_target(const AttentionShape& shape, Element element, const void* qkv,
                                  const void* qkv_t, const float* table, const void* d_out, void* d_qkv,
                                  void* d_qkv_t, float* d_table) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    large_backward(shape, static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), table,
                   static_cast<const T*>(d_out), static_cast<T*>(d_qkv), static_cast<T*>(d_qkv_t), d_table);
  });
}

}  // namespace diffit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::cpu {

HWY_EXPORT(large_window_backward_target);

void large_window_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                           const float* table, const void* d_out, void* d_qkv, void* d_qkv_t,
                           float* d_table) {
  HWY_DYNAMIC_DISPATCH(large_window_backward_target)
  (shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
}

}  // namespace diffit::cpu
#endif
