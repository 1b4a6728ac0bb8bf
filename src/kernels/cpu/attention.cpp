#include "kernels/cpu/attention.h"

#include "kernels/cpu/large_window.h"
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

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

void attention_forward_target(const AttentionShape& shape, Element element, const void* qkv,
                              const void* qkv_t, const float* table, void* out) {
  with_element(element, [&](auto type) {
    using T = decltype(type);
    forward(shape, static_cast<const T*>(qkv), static_cast<const T*>(qkv_t), table, static_cast<T*>(out));
  });
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(attention_forward_target);

void attention_forward(const AttentionShape& shape, Element element, const void* qkv, const void* qkv_t,
                       const float* table, void* out) {
  if (takes_large_window(shape)) return large_window_forward(shape, element, qkv, qkv_t, table, out);
  HWY_DYNAMIC_DISPATCH(attention_forward_target)(shape, element, qkv, qkv_t, table, out);
}

}  // namespace diffit::kernels::cpu
#endif
