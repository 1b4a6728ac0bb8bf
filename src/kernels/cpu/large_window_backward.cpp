#include "kernels/cpu/large_window.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/large_window_backward.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/attention_backward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

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

/// Adds dS of the block to the gradient of the head's table.
HWY_INLINE void add_bias_gradient(const Layout& layout, const QueryBlock& block, const float* HWY_RESTRICT ds,
                                  float* HWY_RESTRICT d_entries) {
  const std::int64_t w = layout.shape.window;
  for (std::int64_t key = 0; key < layout.tokens; ++key) {
    for (std::int64_t q = 0; q < block.count; q += w) {
      const float* from = ds + key * block.stride + q;
      float* to = d_entries + run_of(layout, (block.first + q) / w, key);
      for (std::int64_t x = 0; x < w; ++x) to[x] += from[x];
    }
  }
}

class LargeWindowBackward {
 public:
  /// entries, d_entries: the table and the gradient of it, [heads, (2 window - 1)^2].
  LargeWindowBackward(const Layout& layout, const float* entries, float* d_entries)
      : layout_(layout),
        n_(layout.tokens),
        width_(layout.width),
        rows_a_block_(std::max<std::int64_t>(1, 64 / layout.shape.window)),
        most_(round_up(rows_a_block_ * layout.shape.window)),
        map_((n_ + lanes) * width_),
        entries_(entries),
        d_entries_(d_entries),
        scratch_(7 * map_ + 2 * width_ * most_ + 2 * n_ * most_ + lanes * width_ + 256) {}

  template <class T>
  void operator()(const HeadWindow<T>& window) {
    const std::int64_t w = layout_.shape.window, table_at = window.head * (2 * w - 1) * (2 * w - 1);
    window.read(q_, k_, v_, d_mixed_);
    std::fill(d_k_, d_k_ + n_ * width_, 0.0F);
    std::fill(d_v_, d_v_ + n_ * width_, 0.0F);
    for (std::int64_t row = 0; row < w; row += rows_a_block_) {
      const std::int64_t count = std::min(rows_a_block_, w - row) * w;
      backward({row * w, count, round_up(count)}, entries_ + table_at, d_entries_ + table_at);
    }
    window.write_q(d_q_);
    window.write_k(d_k_);
    window.write_v(d_v_);
  }

 private:
  void backward(const QueryBlock& block, const float* entries, float* d_entries) {
    const std::int64_t d = layout_.shape.head_dim, wide = width_ / lanes;
    const std::int64_t stride = block.stride, vectors = stride / lanes, at = block.first * width_;
    // Behind the window's last token lies what pads it, zero: of a block within, the next block.
    transpose({q_ + at, width_}, stride, width_, {q_transposed_, stride}, repacked_);
    transpose({d_mixed_ + at, width_}, stride, width_, {d_mixed_transposed_, stride}, repacked_);
    fill_bias(layout_, block, entries, p_);
    matmul({k_, width_, 1}, {q_transposed_, stride}, {p_, stride}, {p_, stride}, n_, vectors, d);
    softmax_columns(p_, n_, stride, vectors);
    matmul({v_, width_, 1}, {d_mixed_transposed_, stride}, {nullptr, 0}, {dp_, stride}, n_, vectors, d);
    softmax_backward_columns(p_, dp_, n_, stride, [](std::int64_t, Vec) {});
    add_bias_gradient(layout_, block, dp_, d_entries);
    matmul({p_, stride, 1}, {d_mixed_ + at, width_}, {d_v_, width_}, {d_v_, width_}, n_, wide, block.count);
    matmul({dp_, stride, 1}, {q_ + at, width_}, {d_k_, width_}, {d_k_, width_}, n_, wide, block.count);
    matmul({dp_, 1, stride}, {k_, width_}, {nullptr, 0}, {d_q_ + at, width_}, block.count, wide, n_);
  }

  const Layout& layout_;
  std::int64_t n_, width_;
  std::int64_t rows_a_block_;  // whole rows of the window, some 64 queries
  std::int64_t most_;          // queries of a block
  std::int64_t map_;           // numbers of a window's rows and of a vector's behind them
  const float* entries_;
  float* d_entries_;
  Scratch scratch_;
  float* q_ = scratch_.take(map_);
  float* k_ = scratch_.take(map_);
  float* v_ = scratch_.take(map_);
  float* d_mixed_ = scratch_.take(map_);
  float* d_q_ = scratch_.take(map_);
  float* d_k_ = scratch_.take(map_);
  float* d_v_ = scratch_.take(map_);
  float* q_transposed_ = scratch_.take(width_ * most_);
  float* d_mixed_transposed_ = scratch_.take(width_ * most_);
  float* p_ = scratch_.take(n_ * most_);
  float* dp_ = scratch_.take(n_ * most_);
  float* repacked_ = scratch_.take(lanes * width_);
};

template <class T>
void large_backward(const AttentionShape& shape, const BackwardArrays<T>& arrays, const float* table,
                    float* d_table) {
  const Layout layout(shape);
  const std::int64_t span = 2 * shape.window - 1, size = span * span, table_size = shape.heads * size;
  const std::int64_t chunks = std::min<std::int64_t>(layout.strips(), 32);
  Scratch shared((1 + chunks) * table_size + 32);
  float* entries = shared.take(table_size);
  float* d_entries = shared.take(chunks * table_size);
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    for (std::int64_t e = 0; e < size; ++e) entries[h * size + e] = table[e * shape.heads + h];
  }
  for_each_head_window(layout, arrays, chunks, [&](std::int64_t chunk) {
    return LargeWindowBackward(layout, entries, d_entries + chunk * table_size);
  });
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    for (std::int64_t e = 0; e < size; ++e) {
      float sum = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
        sum += d_entries[chunk * table_size + h * size + e];
      d_table[e * shape.heads + h] = sum;
    }
  }
}

void large_window_backward_target(const AttentionShape& shape, Element element, const void* qkv,
                                  const void* qkv_t, const float* table, const void* d_out, void* d_qkv,
                                  void* d_qkv_t, float* d_table) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    large_backward<T>(shape,
                      {static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), static_cast<const T*>(d_out),
                       static_cast<T*>(d_qkv), static_cast<T*>(d_qkv_t)},
                      table, d_table);
  });
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(large_window_backward_target);

void large_window_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                           const float* table, const void* d_out, void* d_qkv, void* d_qkv_t,
                           float* d_table) {
  HWY_DYNAMIC_DISPATCH(large_window_backward_target)
  (shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
}

}  // namespace diffit::kernels::cpu
#endif
