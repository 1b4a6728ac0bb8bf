// What the backward passes of window attention share: the way through strips, windows and heads, what one
// head of one window reads and writes, and the time token's gradient. Once per instruction set.
#if defined(DIFFIT_KERNELS_CPU_ATTENTION_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DIFFIT_KERNELS_CPU_ATTENTION_BACKWARD_INL_H_
#undef DIFFIT_KERNELS_CPU_ATTENTION_BACKWARD_INL_H_
#else
#define DIFFIT_KERNELS_CPU_ATTENTION_BACKWARD_INL_H_
#endif

#include "kernels/cpu/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

/// As in attention_backward (kernels/cpu/attention.h).
template <class T>
struct BackwardArrays {
  const T *qkv, *qkv_t, *d_out;
  T *d_qkv, *d_qkv_t;
};

/// One head of one window; rows are [tokens, width].
template <class T>
struct HeadWindow {
  const Layout& layout;
  const BackwardArrays<T>& arrays;
  const float* time;  // the sample's, [3, heads, width], and a row of zeros
  float* d_time;      // the strip's sums, [3, heads, width]
  Strip strip;
  std::int64_t column, head;

  /// q is scaled; d_mixed is the gradient of the head's output.
  void read(float* q, float* k, float* v, float* d_mixed) const {
    const std::int64_t c = layout.shape.channels(), at = head * layout.shape.head_dim;
    const auto part = [&](std::int64_t which, float scale, float* to) {
      gather(layout, strip, column, arrays.qkv + which * c + at, 3 * c, time + time_row(which), scale, to);
    };
    part(0, layout.scale, q);
    part(1, 1.0F, k);
    part(2, 1.0F, v);
    gather(layout, strip, column, arrays.d_out + at, c, time + 3 * layout.shape.heads * layout.width, 1.0F,
           d_mixed);
  }
  /// Gradients of what read() gave.
  void write_q(const float* rows) const { write(0, layout.scale, rows); }
  void write_k(const float* rows) const { write(1, 1.0F, rows); }
  void write_v(const float* rows) const { write(2, 1.0F, rows); }

 private:
  std::int64_t time_row(std::int64_t which) const {
    return (which * layout.shape.heads + head) * layout.width;
  }
  void write(std::int64_t which, float scale, const float* rows) const {
    const std::int64_t c = layout.shape.channels();
    scatter(layout, strip, column, rows, scale, arrays.d_qkv + which * c + head * layout.shape.head_dim,
            3 * c, d_time + time_row(which));
  }
};

/// The time token's gradient [B, 3C] from the sums of each strip, [strips, 3, heads, width].
template <class T>
void reduce_time(const Layout& layout, const float* d_time, T* d_qkv_t) {
  const AttentionShape& shape = layout.shape;
  const std::int64_t per_sample = layout.rows * layout.head_groups, width = layout.width;
  const std::int64_t size = 3 * shape.heads * width;
  parallel_for(shape.batch, 8, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum(static_cast<std::size_t>(size));
    for (std::int64_t b = begin; b < end; ++b) {
      std::fill(sum.begin(), sum.end(), 0.0F);
      for (std::int64_t s = b * per_sample; s < (b + 1) * per_sample; ++s) {
        for (std::int64_t i = 0; i < size; ++i) sum[static_cast<std::size_t>(i)] += d_time[s * size + i];
      }
      T* to = d_qkv_t + b * 3 * shape.channels();
      const float* from = sum.data();
      for (std::int64_t part = 0; part < 3 * shape.heads; ++part, from += width, to += shape.head_dim) {
        for (std::int64_t i = 0; i < shape.head_dim; i += lanes) {
          store_part(load(from + i), to + i, std::min(lanes, shape.head_dim - i));
        }
      }
    }
  });
}

/// Calls worker_of(chunk)(HeadWindow) for every head of every window, and writes the time token's gradient.
/// A worker has a thread to itself. The number of chunks is the caller's to fix: each is summed in order, so
/// that sums do not depend on the number of threads.
template <class T, class WorkerOf>
void for_each_head_window(const Layout& layout, const BackwardArrays<T>& arrays, std::int64_t chunks,
                          const WorkerOf& worker_of) {
  const std::int64_t time_size = 3 * layout.shape.heads * layout.width, strips = layout.strips();
  Scratch sums(strips * time_size);
  float* d_time = sums.take(strips * time_size);
  parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(time_size + layout.width);
    float* time = scratch.take(time_size + layout.width);
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      auto worker = worker_of(chunk);
      for (std::int64_t index = chunk * strips / chunks; index < (chunk + 1) * strips / chunks; ++index) {
        const Strip strip = layout.strip(index);
        spread_time(layout, arrays.qkv_t + strip.sample * 3 * layout.shape.channels(), time);
        for (std::int64_t column = 0; column < layout.columns; ++column) {
          for (std::int64_t head = strip.first_head; head < strip.last_head; ++head) {
            worker(HeadWindow<T>{layout, arrays, time, d_time + index * time_size, strip, column, head});
          }
        }
      }
    }
  });
  reduce_time(layout, d_time, arrays.d_qkv_t);
}

/// dS = P (dP - column sums of P dP), in place of dP, [tokens, stride]; also(at, dS) of each vector.
template <class Also>
HWY_INLINE void softmax_backward_columns(const float* HWY_RESTRICT p, float* HWY_RESTRICT dp,
                                         std::int64_t tokens, std::int64_t stride, const Also& also) {
  for (std::int64_t v = 0; v < stride; v += lanes) {
    Vec sum = hn::Zero(F32());
    for (std::int64_t at = v; at < tokens * stride; at += stride) {
      sum = hn::MulAdd(load(p + at), load(dp + at), sum);
    }
    for (std::int64_t at = v; at < tokens * stride; at += stride) {
      const Vec ds = hn::Mul(load(p + at), hn::Sub(load(dp + at), sum));
      store(ds, dp + at);
      also(at, ds);
    }
  }
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
