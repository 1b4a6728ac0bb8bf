#include "kernels/cpu/linear.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/targets.h"
#include "runtime/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include "kernels/cpu/matmul-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t block_rows = 64;  // of x and d_y, in the first-level cache

/// sum += the rows of d_y.
HWY_INLINE void add_rows(const float* d_y, std::int64_t rows, std::int64_t out, float* sum) {
  for_columns(out, [&](auto vectors, auto part, std::int64_t c, std::int64_t count) HWY_ATTR {
    constexpr int V = decltype(vectors)::value;
    constexpr bool is_part = decltype(part)::value;
    Vec total[V];
    for (int v = 0; v < V; ++v) total[v] = load_columns<is_part>(sum + c + v * lanes, count);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (int v = 0; v < V; ++v) {
        total[v] = hn::Add(total[v], load_columns<is_part>(d_y + r * out + c + v * lanes, count));
      }
    }
    for (int v = 0; v < V; ++v) store_columns<is_part>(total[v], sum + c + v * lanes, count);
  });
}

void linear_parameter_gradients_target(std::int64_t rows, std::int64_t in, std::int64_t out, const float* x,
                                       const float* d_y, float* d_weight, float* d_bias) {
  // A fixed number of chunks, each summed in order by one thread: the sums do not depend on the thread count.
  const std::int64_t blocks = (rows + block_rows - 1) / block_rows;
  const std::int64_t chunks = std::clamp<std::int64_t>(blocks / 8, 1, 16);
  const std::int64_t size = out * in + out;
  std::vector<float> sums(static_cast<std::size_t>(chunks * size), 0.0F);
  parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      float* sum = sums.data() + chunk * size;
      for (std::int64_t block = chunk * blocks / chunks; block < (chunk + 1) * blocks / chunks; ++block) {
        const std::int64_t first = block * block_rows, count = std::min(block_rows, rows - first);
        const float* gradient = d_y + first * out;
        matmul({gradient, 1, out}, {x + first * in, in}, {sum, in}, {sum, in}, out, in / lanes, count);
        if (d_bias) add_rows(gradient, count, out, sum + out * in);
      }
    }
  });
  parallel_for(size, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float total = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
        total += sums[static_cast<std::size_t>(chunk * size + i)];
      if (i < out * in) {
        d_weight[i] = total;
      } else if (d_bias) {
        d_bias[i - out * in] = total;
      }
    }
  });
}

bool whole_vectors_target(std::int64_t in) {
  return in % lanes == 0;
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(linear_parameter_gradients_target);
HWY_EXPORT(whole_vectors_target);

bool takes_linear_gradients(std::int64_t in, std::int64_t out) {
  constexpr std::int64_t largest = std::int64_t{1} << 17;
  return in * out <= largest && HWY_DYNAMIC_DISPATCH(whole_vectors_target)(in);
}

void linear_parameter_gradients(std::int64_t rows, std::int64_t in, std::int64_t out, const float* x,
                                const float* d_y, float* d_weight, float* d_bias) {
  HWY_DYNAMIC_DISPATCH(linear_parameter_gradients_target)(rows, in, out, x, d_y, d_weight, d_bias);
}

}  // namespace diffit::kernels::cpu
#endif
