// Sums of the columns of a matrix: gradients of biases. Blocks leave sums over parts of the rows behind,
// which a second kernel adds in fixed order.
#include "kernels/cuda/column_sum.cuh"

#include "kernels/cuda/vector.cuh"

namespace diffit::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kGroups = 32;  // groups of eight columns of a block
constexpr int kMostParts = 512;

/// Blocks along the rows: enough to fill a GPU, none with fewer than 64 rows.
int parts_of(const ColumnSum& shape) {
  const std::int64_t blocks = (shape.columns / kVector + kGroups - 1) / kGroups;
  const std::int64_t wanted = std::int64_t{4} * 132 / blocks + 1, most = (shape.rows + 63) / 64;
  const std::int64_t parts = wanted < most ? wanted : most;
  return static_cast<int>(parts < 1 ? 1 : parts < kMostParts ? parts : kMostParts);
}

/// Rows part, part + parts, ... in units of the rows that a block reads at once.
template <class T>
__global__ void __launch_bounds__(kThreads) sum_parts(const ColumnSum shape, const T* x, float* partial) {
  DIFFIT_SHARED(memory);
  auto* const sums = reinterpret_cast<Float8*>(memory);
  const int groups = shape.columns / kVector - static_cast<int>(blockIdx.x) * kGroups < kGroups
                         ? shape.columns / kVector - static_cast<int>(blockIdx.x) * kGroups
                         : kGroups;
  const int rows = kThreads / groups;  // that are read at once
  const int group = static_cast<int>(threadIdx.x) % groups, row = static_cast<int>(threadIdx.x) / groups;
  const int column = (static_cast<int>(blockIdx.x) * kGroups + group) * kVector;
  Float8 sum{};
  if (row < rows) {
#pragma unroll 4
    for (std::int64_t r = static_cast<std::int64_t>(blockIdx.y) * rows + row; r < shape.rows;
         r += static_cast<std::int64_t>(gridDim.y) * rows) {
      const Float8 values = load8(x + r * shape.columns + column);
#pragma unroll
      for (int e = 0; e < kVector; ++e) sum.v[e] += values.v[e];
    }
  }
  sums[threadIdx.x] = sum;
  sync_block();
  if (row != 0) return;
  for (int other = 1; other < rows; ++other) {
#pragma unroll
    for (int e = 0; e < kVector; ++e) sum.v[e] += sums[other * groups + group].v[e];
  }
  store8(partial + static_cast<std::int64_t>(blockIdx.y) * shape.columns + column, sum);
}

/// A block adds 32 columns: each warp a share of the parts, then the warps' sums in order.
template <int>
__global__ void __launch_bounds__(kThreads)
    add_parts(int columns, int parts, const float* partial, float* out) {
  constexpr int kWarps = kThreads / 32;
  DIFFIT_SHARED(memory);
  auto* const sums = reinterpret_cast<float*>(memory);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int column = static_cast<int>(blockIdx.x) * 32 + lane;
  float sum = 0;
  if (column < columns) {
#pragma unroll 4
    for (int part = warp; part < parts; part += kWarps)
      sum += partial[static_cast<std::int64_t>(part) * columns + column];
  }
  sums[threadIdx.x] = sum;
  sync_block();
  if (warp != 0 || column >= columns) return;
  for (int other = 1; other < kWarps; ++other) sum += sums[other * 32 + lane];
  out[column] = sum;
}

}  // namespace

bool takes_column_sum(const ColumnSum& shape) {
  return shape.rows >= 1 && shape.columns >= kVector && shape.columns % kVector == 0;
}

std::size_t column_sum_workspace(const ColumnSum& shape) {
  return static_cast<std::size_t>(parts_of(shape)) * static_cast<std::size_t>(shape.columns);
}

Status column_sum(const ColumnSum& shape, const void* x, float* out, float* workspace, Stream stream) {
  const int parts = parts_of(shape), groups = shape.columns / kVector;
  const dim3 grid(static_cast<unsigned>((groups + kGroups - 1) / kGroups), static_cast<unsigned>(parts));
  const Status error = with_element(shape.element, [&]<class T>(T*) {
    return launch<&sum_parts<T>>(grid, kThreads, kThreads * sizeof(Float8), stream, shape,
                                 static_cast<const T*>(x), workspace);
  });
  if (error != nullptr) return error;
  return launch<&add_parts<0>>(dim3(static_cast<unsigned>((shape.columns + 31) / 32)), kThreads,
                               kThreads * sizeof(float), stream, static_cast<int>(shape.columns), parts,
                               static_cast<const float*>(workspace), out);
}

}  // namespace diffit::kernels::cuda
