// GroupNorm of [batch, pixels, channels] with SiLU, forward and backward.
//
// A thread has eight neighbouring channels, whatever groups they belong to, and walks over pixels; sums are
// kept by channel and only then added up over a group, in fixed order. Each pass over the map is one kernel:
//   forward    sums of x by channel -> moments of each group -> y
//   backward   sums of dz and dz x^ by channel -> two sums of each group, and d_weight, d_bias -> d_x
// where z = x^ weight + bias is what SiLU is taken of.
#include "kernels/cuda/norm.cuh"
#include "kernels/cuda/vector.cuh"

#include <algorithm>

namespace diffit::kernels::cuda {
namespace {

constexpr int kMostThreads = 256;

struct Parameters {
  int pixels, channels, groups, batch;
  int columns, rows;  // threads of a block: channels / 8 across, `rows` pixels at a time
  int chunk, chunks;  // pixels of a block, blocks of a sample
  bool silu;
  float eps;
  const float *weight, *bias;
  float *mean, *inverse;     // [batch, groups]
  float *part_a, *part_b;    // [batch, chunks, channels]
  float *sum_a, *sum_b;      // [batch, channels]
  float *group_a, *group_b;  // [batch, groups]
  float *d_weight, *d_bias;
};

DIFFIT_DEVICE float sigmoid(float z) {
  return 1 / (1 + exp_of(-z));
}

/// dz of d_y: through SiLU where there is one.
DIFFIT_DEVICE float through_silu(float d_y, float z, bool silu) {
  if (!silu) return d_y;
  const float s = sigmoid(z);
  return d_y * s * (1 + z * (1 - s));
}

/// Adds a and b of a block's rows in order, and writes them to the parts of its chunk.
DIFFIT_DEVICE void write_parts(const Parameters& p, float* shared, int row, int column, const Float8& a,
                               const Float8& b) {
  float* const second = shared + p.rows * p.channels;
  if (row < p.rows) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      shared[row * p.channels + column * kVector + i] = a.v[i];
      second[row * p.channels + column * kVector + i] = b.v[i];
    }
  }
  sync_block();
  const size_t to = (static_cast<size_t>(blockIdx.y) * p.chunks + blockIdx.x) * p.channels;
  for (int c = threadIdx.x; c < p.channels; c += blockDim.x) {
    float total_a = 0, total_b = 0;
    for (int r = 0; r < p.rows; ++r)
      total_a += shared[r * p.channels + c], total_b += second[r * p.channels + c];
    p.part_a[to + c] = total_a;
    p.part_b[to + c] = total_b;
  }
}

/// Sums by channel of x - x0 and of its square, x0 being the sample's first pixel: so that a mean that is
/// large beside the deviation costs no digits. Grid: (chunks, batch).
template <class T>
__global__ void sum_of_map(const Parameters p, const T* x) {
  DIFFIT_SHARED(memory);
  const int column = threadIdx.x % p.columns, row = threadIdx.x / p.columns;
  const T* const sample = x + static_cast<size_t>(blockIdx.y) * p.pixels * p.channels + column * kVector;
  const int first = blockIdx.x * p.chunk, last = min(first + p.chunk, p.pixels);
  Float8 sum{}, square{};
  if (row < p.rows) {
    const Float8 origin = load8(sample);
    for (int pixel = first + row; pixel < last; pixel += p.rows) {
      const Float8 here = load8(sample + static_cast<size_t>(pixel) * p.channels);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        const float d = here.v[i] - origin.v[i];
        sum.v[i] += d;
        square.v[i] += d * d;
      }
    }
  }
  write_parts(p, reinterpret_cast<float*>(memory), row, column, sum, square);
}

/// Moments of each group: of a channel's mean and sum of squares about it, then of the channels' means about
/// the group's. Grid: batch; a thread a group at a time.
template <class T>
__global__ void moments(const Parameters p, const T* x) {
  const int sample = blockIdx.x, width = p.channels / p.groups;
  const T* const origin = x + static_cast<size_t>(sample) * p.pixels * p.channels;
  const float count = static_cast<float>(p.pixels);
  for (int c = threadIdx.x; c < p.channels; c += blockDim.x) {
    float sum = 0, square = 0;
    for (int k = 0; k < p.chunks; ++k) {
      const size_t at = (static_cast<size_t>(sample) * p.chunks + k) * p.channels + c;
      sum += p.part_a[at];
      square += p.part_b[at];
    }
    const float mean = sum / count;
    p.sum_a[sample * p.channels + c] = value_of(origin[c]) + mean;
    p.sum_b[sample * p.channels + c] = square - sum * mean;  // about the channel's mean
  }
  sync_block();
  for (int g = threadIdx.x; g < p.groups; g += blockDim.x) {
    const float* const means = p.sum_a + sample * p.channels + g * width;
    const float* const squares = p.sum_b + sample * p.channels + g * width;
    float mean = 0, square = 0;
    for (int c = 0; c < width; ++c) mean += means[c] / width;
    for (int c = 0; c < width; ++c)
      square += fmaxf(squares[c], 0.f) + count * (means[c] - mean) * (means[c] - mean);
    p.mean[sample * p.groups + g] = mean;
    p.inverse[sample * p.groups + g] = rsqrt_of(square / (count * width) + p.eps);
  }
}

/// What a thread's eight channels need: x^ = (x - mean) inverse, z = x^ weight + bias.
struct Affine {
  Float8 mean, inverse, weight, bias;
  int group[kVector];
};
DIFFIT_DEVICE Affine affine_of(const Parameters& p, int sample, int column) {
  Affine a;
  a.weight = load8(p.weight + column * kVector);
  a.bias = load8(p.bias + column * kVector);
  const int width = p.channels / p.groups;
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    a.group[i] = sample * p.groups + (column * kVector + i) / width;
    a.mean.v[i] = p.mean[a.group[i]];
    a.inverse.v[i] = p.inverse[a.group[i]];
  }
  return a;
}

/// Grid: (chunks, batch).
template <class T>
__global__ void normalize(const Parameters p, const T* x, T* y) {
  const int column = threadIdx.x % p.columns, row = threadIdx.x / p.columns;
  if (row >= p.rows) return;
  const Affine a = affine_of(p, blockIdx.y, column);
  const size_t sample = static_cast<size_t>(blockIdx.y) * p.pixels * p.channels + column * kVector;
  const int first = blockIdx.x * p.chunk, last = min(first + p.chunk, p.pixels);
  for (int pixel = first + row; pixel < last; pixel += p.rows) {
    const size_t at = sample + static_cast<size_t>(pixel) * p.channels;
    Float8 value = load8(x + at);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const float z = (value.v[i] - a.mean.v[i]) * a.inverse.v[i] * a.weight.v[i] + a.bias.v[i];
      value.v[i] = p.silu ? z * sigmoid(z) : z;
    }
    store8(y + at, value);
  }
}

/// Sums by channel of dz and of dz x^. Grid: (chunks, batch).
template <class T>
__global__ void sum_of_gradient(const Parameters p, const T* x, const T* d_y) {
  DIFFIT_SHARED(memory);
  const int column = threadIdx.x % p.columns, row = threadIdx.x / p.columns;
  const size_t sample = static_cast<size_t>(blockIdx.y) * p.pixels * p.channels + column * kVector;
  const int first = blockIdx.x * p.chunk, last = min(first + p.chunk, p.pixels);
  Float8 sum{}, product{};
  if (row < p.rows) {
    const Affine a = affine_of(p, blockIdx.y, column);
    for (int pixel = first + row; pixel < last; pixel += p.rows) {
      const size_t at = sample + static_cast<size_t>(pixel) * p.channels;
      const Float8 value = load8(x + at), gradient = load8(d_y + at);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        const float normal = (value.v[i] - a.mean.v[i]) * a.inverse.v[i];
        const float d_z = through_silu(gradient.v[i], normal * a.weight.v[i] + a.bias.v[i], p.silu);
        sum.v[i] += d_z;
        product.v[i] += d_z * normal;
      }
    }
  }
  write_parts(p, reinterpret_cast<float*>(memory), row, column, sum, product);
}

/// Sums of a sample by channel, and by group the means of dz weight and of dz weight x^. Grid: batch.
template <int>
__global__ void gradient_of_moments(const Parameters p) {
  const int sample = blockIdx.x, width = p.channels / p.groups;
  for (int c = threadIdx.x; c < p.channels; c += blockDim.x) {
    float sum = 0, product = 0;
    for (int k = 0; k < p.chunks; ++k) {
      const size_t at = (static_cast<size_t>(sample) * p.chunks + k) * p.channels + c;
      sum += p.part_a[at];
      product += p.part_b[at];
    }
    p.sum_a[sample * p.channels + c] = sum;
    p.sum_b[sample * p.channels + c] = product;
  }
  sync_block();
  for (int g = threadIdx.x; g < p.groups; g += blockDim.x) {
    float sum = 0, product = 0;
    for (int c = g * width; c < (g + 1) * width; ++c) {
      sum += p.sum_a[sample * p.channels + c] * p.weight[c];
      product += p.sum_b[sample * p.channels + c] * p.weight[c];
    }
    const float count = static_cast<float>(p.pixels) * width;
    p.group_a[sample * p.groups + g] = sum / count;
    p.group_b[sample * p.groups + g] = product / count;
  }
}

/// Grid: (chunks, batch).
template <class T>
__global__ void gradient_of_map(const Parameters p, const T* x, const T* d_y, T* d_x) {
  const int column = threadIdx.x % p.columns, row = threadIdx.x / p.columns;
  if (row >= p.rows) return;
  const Affine a = affine_of(p, blockIdx.y, column);
  Float8 sum, product;
#pragma unroll
  for (int i = 0; i < kVector; ++i) sum.v[i] = p.group_a[a.group[i]], product.v[i] = p.group_b[a.group[i]];
  const size_t sample = static_cast<size_t>(blockIdx.y) * p.pixels * p.channels + column * kVector;
  const int first = blockIdx.x * p.chunk, last = min(first + p.chunk, p.pixels);
  for (int pixel = first + row; pixel < last; pixel += p.rows) {
    const size_t at = sample + static_cast<size_t>(pixel) * p.channels;
    const Float8 value = load8(x + at), gradient = load8(d_y + at);
    Float8 result;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const float normal = (value.v[i] - a.mean.v[i]) * a.inverse.v[i];
      const float d_z = through_silu(gradient.v[i], normal * a.weight.v[i] + a.bias.v[i], p.silu);
      result.v[i] = a.inverse.v[i] * (d_z * a.weight.v[i] - sum.v[i] - normal * product.v[i]);
    }
    store8(d_x + at, result);
  }
}

/// d_bias and d_weight: the samples' sums in order. Grid: channels / 128, rounded up.
template <int>
__global__ void gradient_of_parameters(const Parameters p) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= p.channels) return;
  float sum = 0, product = 0;
#pragma unroll 4
  for (int b = 0; b < p.batch; ++b)
    sum += p.sum_a[b * p.channels + c], product += p.sum_b[b * p.channels + c];
  p.d_bias[c] = sum;
  p.d_weight[c] = product;
}

/// Blocks that keep the device busy, without more parts to add up than need be.
Parameters parameters_of(const GroupNorm& shape, const GroupNormBuffers& b) {
  Parameters p{};
  p.pixels = shape.pixels, p.channels = shape.channels, p.groups = shape.groups, p.batch = shape.batch;
  p.silu = shape.silu, p.eps = shape.eps;
  p.columns = shape.channels / kVector;
  p.rows = std::max(1, std::min(kMostThreads / p.columns, shape.pixels));
  constexpr int wanted_blocks = 1024;
  const int most = (shape.pixels + p.rows - 1) / p.rows;
  const int chunks = std::clamp((wanted_blocks + shape.batch - 1) / shape.batch, 1, std::min(most, 64));
  p.chunk = (shape.pixels + chunks - 1) / chunks;
  p.chunks = (shape.pixels + p.chunk - 1) / p.chunk;
  p.weight = b.weight, p.bias = b.bias, p.mean = b.mean, p.inverse = b.inverse_deviation;
  p.d_weight = b.d_weight, p.d_bias = b.d_bias;
  const size_t parts = static_cast<size_t>(p.batch) * p.chunks * p.channels,
               sums = static_cast<size_t>(p.batch) * p.channels;
  p.part_a = b.workspace, p.part_b = p.part_a + parts;
  p.sum_a = p.part_b + parts, p.sum_b = p.sum_a + sums;
  p.group_a = p.sum_b + sums, p.group_b = p.group_a + static_cast<size_t>(p.batch) * p.groups;
  return p;
}

int threads_of(const Parameters& p) {
  return (p.columns * p.rows + 31) / 32 * 32;
}
size_t shared_bytes(const Parameters& p) {
  return static_cast<size_t>(p.rows) * p.channels * 2 * sizeof(float);
}

}  // namespace

bool takes_group_norm(const GroupNorm& shape) {
  return shape.batch >= 1 && shape.batch <= 65535 && shape.pixels >= 1 && shape.channels % kVector == 0 &&
         shape.channels <= kMostThreads * kVector && shape.groups >= 1 &&
         shape.channels % shape.groups == 0 &&
         static_cast<std::int64_t>(shape.batch) * shape.channels < std::int64_t{1} << 31;
}

std::size_t group_norm_workspace(const GroupNorm& shape) {
  GroupNormBuffers none{};
  const Parameters p = parameters_of(shape, none);
  return 2 * (static_cast<size_t>(p.batch) * p.chunks * p.channels +
              static_cast<size_t>(p.batch) * p.channels + static_cast<size_t>(p.batch) * p.groups);
}

Status group_norm_forward(const GroupNorm& shape, const GroupNormBuffers& b, Stream stream) {
  const Parameters p = parameters_of(shape, b);
  const dim3 grid(p.chunks, p.batch);
  return with_element(shape.element, [&]<class T>(T*) -> Status {
    const T* const x = static_cast<const T*>(b.x);
    if (const Status failed = launch<&sum_of_map<T>>(grid, threads_of(p), shared_bytes(p), stream, p, x))
      return failed;
    if (const Status failed = launch<&moments<T>>(dim3(p.batch), 128, 0, stream, p, x)) return failed;
    return launch<&normalize<T>>(grid, threads_of(p), 0, stream, p, x, static_cast<T*>(b.y));
  });
}

Status group_norm_backward(const GroupNorm& shape, const GroupNormBuffers& b, Stream stream) {
  const Parameters p = parameters_of(shape, b);
  const dim3 grid(p.chunks, p.batch);
  return with_element(shape.element, [&]<class T>(T*) -> Status {
    const T *const x = static_cast<const T*>(b.x), *const d_y = static_cast<const T*>(b.d_y);
    if (const Status failed =
            launch<&sum_of_gradient<T>>(grid, threads_of(p), shared_bytes(p), stream, p, x, d_y))
      return failed;
    if (const Status failed = launch<&gradient_of_moments<0>>(dim3(p.batch), 128, 0, stream, p))
      return failed;
    if (const Status failed =
            launch<&gradient_of_parameters<0>>(dim3((p.channels + 127) / 128), 128, 0, stream, p))
      return failed;
    return launch<&gradient_of_map<T>>(grid, threads_of(p), 0, stream, p, x, d_y, static_cast<T*>(b.d_x));
  });
}

}  // namespace diffit::kernels::cuda
