// LayerNorm of the rows of a residual stream, after the addition of a branch: one pass forward, which writes
// the sum and its normal form, and one backward, which adds the gradient of the sum to that through the
// normal form. A warp a row.
#include "kernels/cuda/row.cuh"

namespace diffit::kernels::cuda {
namespace {

template <int PARTS, class S, class T>
__global__ void __launch_bounds__(32 * kRowWarps)
    sum_and_normalize(const ResidualNorm p, const S* x, const T* branch, S* sum, T* y, float* statistics) {
  const int lane = threadIdx.x % 32;
  const std::int64_t index = row_of_warp();
  if (index >= p.rows) return;
  Row<PARTS> row = load_row<PARTS>(x + index * p.width, p.width, lane);
  if (branch != nullptr) {
    const Row<PARTS> more = load_row<PARTS>(branch + index * p.width, p.width, lane);
#pragma unroll
    for (int i = 0; i < PARTS; ++i)
#pragma unroll
      for (int e = 0; e < kVector; ++e) row.part[i].v[e] = rounded<S>(row.part[i].v[e] + more.part[i].v[e]);
    store_row(sum + index * p.width, row, p.width, lane);
  }
  const Moments m = normalize(row, p.width, p.eps, lane);
  store_row(y + index * p.width, row, p.width, lane);
  if (statistics != nullptr && lane == 0)
    statistics[2 * index] = m.mean, statistics[2 * index + 1] = m.inverse;
}

/// d_x = d_sum + (d_y - mean(d_y) - x^ mean(d_y x^)) inverse, and the same as the gradient of the branch.
template <int PARTS, class S, class T>
__global__ void __launch_bounds__(32 * kRowWarps)
    gradients(const ResidualNorm p, const S* sum, const float* statistics, const S* d_sum, const T* d_y,
              S* d_x, T* d_branch) {
  const int lane = threadIdx.x % 32;
  const std::int64_t index = row_of_warp();
  if (index >= p.rows) return;
  const Moments m{statistics[2 * index], statistics[2 * index + 1]};
  Row<PARTS> gradient = load_row<PARTS>(d_y + index * p.width, p.width, lane);
  gradient_of_row(gradient, load_row<PARTS>(sum + index * p.width, p.width, lane), m, p.width, lane);
  if (d_sum != nullptr) add_row(gradient, load_row<PARTS>(d_sum + index * p.width, p.width, lane));
  store_row(d_x + index * p.width, gradient, p.width, lane);
  if (d_branch != nullptr) store_row(d_branch + index * p.width, gradient, p.width, lane);
}

/// Calls function.operator()<PARTS, S, T>() for the shape.
template <class Function>
Status with_types(const ResidualNorm& shape, const Function& function) {
  return with_parts(shape.width, [&]<int PARTS>() {
    if (shape.branch == Element::float32) return function.template operator()<PARTS, float, float>();
    if (shape.stream == Element::float32) return function.template operator()<PARTS, float, bf16>();
    return function.template operator()<PARTS, bf16, bf16>();
  });
}

}  // namespace

bool takes_residual_norm(const ResidualNorm& shape) {
  return takes_layer_norm({shape.rows, shape.width, shape.stream, shape.eps}) &&
         (shape.stream == Element::float32 || shape.branch == Element::bfloat16);
}

Status residual_norm_forward(const ResidualNorm& shape, const ResidualNormBuffers& b, Stream stream) {
  return with_types(shape, [&]<int PARTS, class S, class T>() {
    return launch<&sum_and_normalize<PARTS, S, T>>(
        grid_of_rows(shape.rows), 32 * kRowWarps, 0, stream, shape, static_cast<const S*>(b.x),
        static_cast<const T*>(b.branch), static_cast<S*>(b.sum), static_cast<T*>(b.y), b.statistics);
  });
}

Status residual_norm_backward(const ResidualNorm& shape, const ResidualNormBuffers& b, Stream stream) {
  return with_types(shape, [&]<int PARTS, class S, class T>() {
    return launch<&gradients<PARTS, S, T>>(
        grid_of_rows(shape.rows), 32 * kRowWarps, 0, stream, shape, static_cast<const S*>(b.sum),
        static_cast<const float*>(b.statistics), static_cast<const S*>(b.d_sum), static_cast<const T*>(b.d_y),
        static_cast<S*>(b.d_x), static_cast<T*>(b.d_branch));
  });
}

}  // namespace diffit::kernels::cuda
