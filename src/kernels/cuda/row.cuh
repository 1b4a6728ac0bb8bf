// A row of a matrix in the registers of a warp, and its normal form.
#pragma once

#include "kernels/cuda/norm.cuh"
#include "kernels/cuda/vector.cuh"

namespace diffit::kernels::cuda {

/// A row of up to 32 * 8 * PARTS numbers, spread over a warp.
template <int PARTS>
struct Row {
  Float8 part[PARTS];
};

DIFFIT_DEVICE int place(int part, int lane) {
  return (part * 32 + lane) * kVector;
}

template <int PARTS, class T>
DIFFIT_DEVICE Row<PARTS> load_row(const T* from, int width, int lane) {
  Row<PARTS> row{};
#pragma unroll
  for (int i = 0; i < PARTS; ++i)
    if (place(i, lane) < width) row.part[i] = load8(from + place(i, lane));
  return row;
}
template <int PARTS, class T>
DIFFIT_DEVICE void store_row(T* to, const Row<PARTS>& row, int width, int lane) {
#pragma unroll
  for (int i = 0; i < PARTS; ++i)
    if (place(i, lane) < width) store8(to + place(i, lane), row.part[i]);
}

struct Moments {
  float mean, inverse;
};

/// Turns the row into its normal form.
template <int PARTS>
DIFFIT_DEVICE Moments normalize(Row<PARTS>& row, int width, float eps, int lane) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < PARTS; ++i)
#pragma unroll
    for (int e = 0; e < kVector; ++e) sum += row.part[i].v[e];  // zero beyond the row's end
  const float mean = warp_sum(sum) / width;
  float square = 0;
#pragma unroll
  for (int i = 0; i < PARTS; ++i) {
    if (place(i, lane) >= width) continue;
#pragma unroll
    for (int e = 0; e < kVector; ++e) {
      row.part[i].v[e] -= mean;
      square += row.part[i].v[e] * row.part[i].v[e];
    }
  }
  const float inverse = rsqrt_of(warp_sum(square) / width + eps);
#pragma unroll
  for (int i = 0; i < PARTS; ++i)
#pragma unroll
    for (int e = 0; e < kVector; ++e) row.part[i].v[e] *= inverse;
  return {mean, inverse};
}

/// Turns the gradient of a row's normal form into that of the row: (d_y - mean(d_y) - x^ mean(d_y x^))
/// inverse.
template <int PARTS>
DIFFIT_DEVICE void gradient_of_row(Row<PARTS>& gradient, Row<PARTS> row, const Moments& m, int width,
                                   int lane) {
  float sum = 0, product = 0;
#pragma unroll
  for (int i = 0; i < PARTS; ++i) {
    if (place(i, lane) >= width) continue;
#pragma unroll
    for (int e = 0; e < kVector; ++e) {
      row.part[i].v[e] = (row.part[i].v[e] - m.mean) * m.inverse;
      sum += gradient.part[i].v[e];
      product += gradient.part[i].v[e] * row.part[i].v[e];
    }
  }
  sum = warp_sum(sum) / width, product = warp_sum(product) / width;
#pragma unroll
  for (int i = 0; i < PARTS; ++i)
#pragma unroll
    for (int e = 0; e < kVector; ++e)
      gradient.part[i].v[e] = (gradient.part[i].v[e] - sum - row.part[i].v[e] * product) * m.inverse;
}

/// row += more.
template <int PARTS>
DIFFIT_DEVICE void add_row(Row<PARTS>& row, const Row<PARTS>& more) {
#pragma unroll
  for (int i = 0; i < PARTS; ++i)
#pragma unroll
    for (int e = 0; e < kVector; ++e) row.part[i].v[e] += more.part[i].v[e];
}

/// Kernels of rows: a warp a row, so many rows a block.
constexpr int kRowWarps = 4;
inline dim3 grid_of_rows(std::int64_t rows) {
  return dim3(static_cast<unsigned>((rows + kRowWarps - 1) / kRowWarps));
}
/// The row of this warp; there may be fewer rows.
DIFFIT_DEVICE std::int64_t row_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * kRowWarps + threadIdx.x / 32;
}

/// x as a number of type T holds it.
template <class T>
DIFFIT_DEVICE float rounded(float x) {
  return sizeof(T) == sizeof(float) ? x : low(pack(x, 0));
}

/// Calls function.operator()<PARTS>() with the fewest parts that hold the row.
template <class Function>
Status with_parts(int width, const Function& function) {
  const int parts = (width + 32 * kVector - 1) / (32 * kVector);
  if (parts <= 1) return function.template operator()<1>();
  if (parts <= 2) return function.template operator()<2>();
  return function.template operator()<5>();
}

}  // namespace diffit::kernels::cuda
