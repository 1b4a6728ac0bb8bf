#include "kernels/cpu/attention.h"

#include "kernels/cpu/large_window.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/attention_backward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

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

/// A head of a window at a time, all of its scores at once, S^T [key, query]. Sums the gradient of each
/// pair's bias.
class WindowBackward {
 public:
  /// bias, d_bias [heads, tokens, queries].
  WindowBackward(const Layout& layout, const float* bias, float* d_bias)
      : n_(layout.tokens),
        width_(layout.width),
        queries_(layout.queries),
        bias_(bias),
        d_bias_(d_bias),
        scratch_(5 * queries_ * width_ + 2 * n_ * width_ + 2 * n_ * queries_ + lanes * width_ + 256) {}

  template <class T>
  void operator()(const HeadWindow<T>& window) {
    const std::int64_t d = window.layout.shape.head_dim, bias_at = window.head * n_ * queries_;
    const std::int64_t vectors = queries_ / lanes, wide = width_ / lanes;
    window.read(q_, k_, v_, d_mixed_);
    transpose({q_, width_}, queries_, width_, {q_transposed_, queries_}, repacked_);
    transpose({d_mixed_, width_}, queries_, width_, {d_mixed_transposed_, queries_}, repacked_);

    matmul({k_, width_, 1}, {q_transposed_, queries_}, {bias_ + bias_at, queries_}, {p_, queries_}, n_,
           vectors, d);
    softmax_columns(p_, n_, queries_, vectors);
    matmul({v_, width_, 1}, {d_mixed_transposed_, queries_}, {nullptr, 0}, {dp_, queries_}, n_, vectors, d);
    float* d_bias = d_bias_ + bias_at;
    softmax_backward_columns(p_, dp_, n_, queries_, [d_bias](std::int64_t at, Vec ds) {
      store(hn::Add(load(d_bias + at), ds), d_bias + at);
    });

    matmul({p_, queries_, 1}, {d_mixed_, width_}, {nullptr, 0}, {d_rows_, width_}, n_, wide, n_);
    window.write_v(d_rows_);
    matmul({dp_, queries_, 1}, {q_, width_}, {nullptr, 0}, {d_rows_, width_}, n_, wide, n_);
    window.write_k(d_rows_);
    matmul({dp_, 1, queries_}, {k_, width_}, {nullptr, 0}, {d_rows_, width_}, n_, wide, n_);
    window.write_q(d_rows_);
  }

 private:
  std::int64_t n_, width_, queries_;
  const float* bias_;
  float* d_bias_;
  Scratch scratch_;
  float* q_ = scratch_.take(queries_ * width_);
  float* k_ = scratch_.take(n_ * width_);
  float* v_ = scratch_.take(n_ * width_);
  float* d_mixed_ = scratch_.take(queries_ * width_);
  float* q_transposed_ = scratch_.take(width_ * queries_);
  float* d_mixed_transposed_ = scratch_.take(width_ * queries_);
  float* d_rows_ = scratch_.take(queries_ * width_);
  float* p_ = scratch_.take(n_ * queries_);
  float* dp_ = scratch_.take(n_ * queries_);
  float* repacked_ = scratch_.take(lanes * width_);
};

template <class T>
void backward(const AttentionShape& shape, const BackwardArrays<T>& arrays, const float* table,
              float* d_table) {
  const Layout layout(shape);
  const std::int64_t bias_size = shape.heads * layout.tokens * layout.queries;
  const std::int64_t chunks = std::min<std::int64_t>(layout.strips(), layout.tokens <= 64 ? 16 : 4);
  Scratch shared((1 + chunks) * bias_size + 32);
  float* bias = shared.take(bias_size);
  float* d_bias = shared.take(chunks * bias_size);
  expand_bias(layout, table, bias);
  for_each_head_window(layout, arrays, chunks, [&](std::int64_t chunk) {
    return WindowBackward(layout, bias, d_bias + chunk * bias_size);
  });
  reduce_bias(layout, d_bias, chunks, d_table);
}

void attention_backward_target(const AttentionShape& shape, Element element, const void* qkv,
                               const void* qkv_t, const float* table, const void* d_out, void* d_qkv,
                               void* d_qkv_t, float* d_table) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    backward<T>(shape,
                {static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), static_cast<const T*>(d_out),
                 static_cast<T*>(d_qkv), static_cast<T*>(d_qkv_t)},
                table, d_table);
  });
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(attention_backward_target);

void attention_backward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                        const float* table, const void* d_out, void* d_qkv, void* d_qkv_t, float* d_table) {
  if (shape.window > 16) {
    return large_window_backward(shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
  }
  HWY_DYNAMIC_DISPATCH(attention_backward_target)
  (shape, element, qkv, qkv_t, table, d_out, d_qkv, d_qkv_t, d_table);
}

}  // namespace diffit::kernels::cpu
#endif
