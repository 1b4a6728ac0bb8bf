// LayerNorm of rows without affine, forward, backward, and after the addition to a residual stream: a warp a
// row, whose numbers stay in registers between the two passes over them.
#include "kernels/cuda/norm.cuh"
#include "kernels/cuda/row.cuh"

namespace diffit::kernels::cuda {
namespace {

template <int PARTS, class T>
__global__ void __launch_bounds__(32 * kRowWarps)
    forward_kernel(const LayerNorm p, const T* x, T* y, float* statistics) {
  const int lane = threadIdx.x % 32;
  const std::int64_t index = row_of_warp();
  if (index >= p.rows) return;
  Row<PARTS> row = load_row<PARTS>(x + index * p.width, p.width, lane);
  const Moments m = normalize(row, p.width, p.eps, lane);
  store_row(y + index * p.width, row, p.width, lane);
  if (statistics != nullptr && lane == 0)
    statistics[2 * index] = m.mean, statistics[2 * index + 1] = m.inverse;
}

template <int PARTS, class T>
__global__ void __launch_bounds__(32 * kRowWarps)
    add_kernel(const LayerNorm p, float* stream_values, const T* added, T* y) {
  const int lane = threadIdx.x % 32;
  const std::int64_t index = row_of_warp();
  if (index >= p.rows) return;
  Row<PARTS> row = load_row<PARTS>(static_cast<const float*>(stream_values) + index * p.width, p.width, lane);
  add_row(row, load_row<PARTS>(added + index * p.width, p.width, lane));
  store_row(stream_values + index * p.width, row, p.width, lane);
  normalize(row, p.width, p.eps, lane);
  store_row(y + index * p.width, row, p.width, lane);
}

/// d_x = (d_y - mean(d_y) - x^ mean(d_y x^)) inverse.
template <int PARTS, class T>
__global__ void __launch_bounds__(32 * kRowWarps)
    backward_kernel(const LayerNorm p, const T* x, const float* statistics, const T* d_y, T* d_x) {
  const int lane = threadIdx.x % 32;
  const std::int64_t index = row_of_warp();
  if (index >= p.rows) return;
  const Moments m{statistics[2 * index], statistics[2 * index + 1]};
  Row<PARTS> gradient = load_row<PARTS>(d_y + index * p.width, p.width, lane);
  gradient_of_row(gradient, load_row<PARTS>(x + index * p.width, p.width, lane), m, p.width, lane);
  store_row(d_x + index * p.width, gradient, p.width, lane);
}

}  // namespace

bool takes_layer_norm(const LayerNorm& shape) {
  return shape.rows >= 1 && shape.rows < std::int64_t{1} << 32 && shape.width >= kVector &&
         shape.width % kVector == 0 && shape.width <= 5 * 32 * kVector;
}

Status layer_norm_forward(const LayerNorm& shape, const void* x, void* y, float* statistics, Stream stream) {
  return with_element(shape.element, [&]<class T>(T*) {
    return with_parts(shape.width, [&]<int PARTS>() {
      return launch<&forward_kernel<PARTS, T>>(grid_of_rows(shape.rows), 32 * kRowWarps, 0, stream, shape,
                                               static_cast<const T*>(x), static_cast<T*>(y), statistics);
    });
  });
}

Status layer_norm_backward(const LayerNorm& shape, const void* x, const float* statistics, const void* d_y,
                           void* d_x, Stream stream) {
  return with_element(shape.element, [&]<class T>(T*) {
    return with_parts(shape.width, [&]<int PARTS>() {
      return launch<&backward_kernel<PARTS, T>>(grid_of_rows(shape.rows), 32 * kRowWarps, 0, stream, shape,
                                                static_cast<const T*>(x), statistics,
                                                static_cast<const T*>(d_y), static_cast<T*>(d_x));
    });
  });
}

Status add_layer_norm(const LayerNorm& shape, float* stream_values, const void* added, void* y,
                      Stream stream) {
  return with_element(shape.element, [&]<class T>(T*) {
    return with_parts(shape.width, [&]<int PARTS>() {
      return launch<&add_kernel<PARTS, T>>(grid_of_rows(shape.rows), 32 * kRowWarps, 0, stream, shape,
                                           stream_values, static_cast<const T*>(added), static_cast<T*>(y));
    });
  });
}

}  // namespace diffit::kernels::cuda
