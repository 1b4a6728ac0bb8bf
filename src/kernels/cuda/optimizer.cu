// Adam and AdamW for all parameters with every moving average in the same pass over the weights. What a step
// decides, whether it is skipped and how gradients are clipped, is decided on the device: the host need not
// wait.
//
// Three kernels: squares of the gradients by chunk; their sum in fixed order, and the numbers of the step;
// the update. A chunk is kOptimizerChunk numbers of one tensor.
#include "kernels/cuda/optimizer.cuh"

#include "kernels/cuda/vector.cuh"

namespace diffit::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// Numbers of one step, the same for all parameters.
struct Numbers {
  float gradient_scale;               // of clipping
  float step_size;                    // lr / (1 - beta1^t)
  float second_scale;                 // 1 / sqrt(1 - beta2^t)
  float lr, first_rate, second_rate;  // 1 - beta1, 1 - beta2
  float skipped;                      // 1: nothing is updated
};

/// Sum over the block in fixed order; `memory` holds a number of each thread.
DIFFIT_DEVICE double block_sum(double x, double* memory) {
  memory[threadIdx.x] = x;
  sync_block();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) memory[threadIdx.x] += memory[threadIdx.x + half];
    sync_block();
  }
  return memory[0];
}

/// squares[chunk] = sum of the squares of the chunk's gradients.
template <int>
__global__ void __launch_bounds__(kThreads)
    squares_kernel(const OptimizerTensor* tensors, const OptimizerPiece* pieces, double* squares) {
  DIFFIT_SHARED(memory);
  const OptimizerPiece piece = pieces[blockIdx.x];
  const OptimizerTensor& t = tensors[piece.tensor];
  const std::int64_t end = piece.first + kOptimizerChunk < t.size ? piece.first + kOptimizerChunk : t.size;
  float sum = 0;
  for (std::int64_t i = piece.first + static_cast<std::int64_t>(threadIdx.x); i < end; i += kThreads)
    sum += t.gradient[i] * t.gradient[i];
  const double total = block_sum(sum, reinterpret_cast<double*>(memory));
  if (threadIdx.x == 0) squares[blockIdx.x] = total;
}

/// The norm of all gradients, whether the step is skipped, and the numbers of the step. One block.
template <int>
__global__ void __launch_bounds__(kThreads) numbers_kernel(const OptimizerStep step, const OptimizerBuffers b,
                                                           const double* squares, Numbers* numbers) {
  DIFFIT_SHARED(memory);
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < step.pieces; i += kThreads) sum += squares[i];
  const double total = block_sum(sum, reinterpret_cast<double*>(memory));
  if (threadIdx.x != 0) return;
  const float norm = static_cast<float>(sqrt(total)), loss = *b.loss;
  // inf - inf and nan - nan are not equal to zero.
  const bool finite = norm - norm == 0 && loss - loss == 0;
  b.result[0] = loss, b.result[1] = norm, b.result[2] = finite ? 0.f : 1.f;
  if (finite) *b.updates += 1;
  const double t = static_cast<double>(*b.updates);
  const double lr = b.rates[0];
  numbers->gradient_scale = step.clip > 0 && norm > step.clip ? step.clip / norm : 1.f;
  numbers->step_size = static_cast<float>(lr / (1 - pow(step.beta1, t)));
  numbers->second_scale = static_cast<float>(1 / sqrt(1 - pow(step.beta2, t)));
  numbers->lr = b.rates[0];
  numbers->first_rate = static_cast<float>(1 - step.beta1);
  numbers->second_rate = static_cast<float>(1 - step.beta2);
  numbers->skipped = finite ? 0.f : 1.f;
}

struct Float4 {
  float v[4];
};
DIFFIT_DEVICE Float4 load4(const float* from) {
  const float4 a = *reinterpret_cast<const float4*>(from);
  return {{a.x, a.y, a.z, a.w}};
}
DIFFIT_DEVICE void store4(float* to, const Float4& x) {
  *reinterpret_cast<float4*>(to) = float4{x.v[0], x.v[1], x.v[2], x.v[3]};
}

/// One number: Kingma and Ba 2015, algorithm 1, in the order of operations of LibTorch's fused kernels.
DIFFIT_DEVICE void update(const OptimizerStep& step, const Numbers& n, float decay, float g, float& w,
                          float& m, float& v) {
  g *= n.gradient_scale;
  if (step.decoupled) {
    w -= n.lr * decay * w;
  } else {
    g += w * decay;
  }
  m += n.first_rate * (g - m);
  v += n.second_rate * (g * g - v);
  w -= n.step_size * m / (sqrtf(v) * n.second_scale + step.eps);
}

/// Weights, moments and averages of a chunk.
template <int>
__global__ void __launch_bounds__(kThreads)
    update_kernel(const OptimizerStep step, const OptimizerBuffers b, const Numbers* numbers) {
  const Numbers n = *numbers;
  if (n.skipped != 0) return;
  const OptimizerPiece piece = b.pieces[blockIdx.x];
  const OptimizerTensor& t = b.tensors[piece.tensor];
  const std::int64_t end = piece.first + kOptimizerChunk < t.size ? piece.first + kOptimizerChunk : t.size;
  const std::int64_t whole = t.aligned ? end - (end - piece.first) % 4 : piece.first;  // read four at a time
  for (std::int64_t i = piece.first + 4 * static_cast<std::int64_t>(threadIdx.x); i < whole;
       i += 4 * kThreads) {
    const Float4 g = load4(t.gradient + i);
    Float4 w = load4(t.weight + i), m = load4(t.first + i), v = load4(t.second + i);
#pragma unroll
    for (int e = 0; e < 4; ++e) update(step, n, t.weight_decay, g.v[e], w.v[e], m.v[e], v.v[e]);
    store4(t.weight + i, w), store4(t.first + i, m), store4(t.second + i, v);
    for (int k = 0; k < step.averages; ++k) {
      Float4 a = load4(t.average[k] + i);
      const float rate = b.rates[1 + k];
#pragma unroll
      for (int e = 0; e < 4; ++e) a.v[e] += rate * (w.v[e] - a.v[e]);
      store4(t.average[k] + i, a);
    }
  }
  for (std::int64_t i = whole + static_cast<std::int64_t>(threadIdx.x); i < end; i += kThreads) {
    update(step, n, t.weight_decay, t.gradient[i], t.weight[i], t.first[i], t.second[i]);
    for (int k = 0; k < step.averages; ++k)
      t.average[k][i] += b.rates[1 + k] * (t.weight[i] - t.average[k][i]);
  }
}

}  // namespace

std::size_t optimizer_workspace(const OptimizerStep& step) {
  return sizeof(double) * static_cast<std::size_t>(step.pieces) + 256;
}

Status optimizer_update(const OptimizerStep& step, const OptimizerBuffers& b, Stream stream) {
  auto* const numbers = static_cast<Numbers*>(b.workspace);
  auto* const squares = reinterpret_cast<double*>(static_cast<char*>(b.workspace) + 256);
  constexpr std::size_t kShared = kThreads * sizeof(double);
  const auto pieces = static_cast<unsigned>(step.pieces);
  if (const Status error =
          launch<&squares_kernel<0>>(dim3(pieces), kThreads, kShared, stream, b.tensors, b.pieces, squares))
    return error;
  if (const Status error = launch<&numbers_kernel<0>>(dim3(1), kThreads, kShared, stream, step, b,
                                                      static_cast<const double*>(squares), numbers))
    return error;
  return launch<&update_kernel<0>>(dim3(pieces), kThreads, 0, stream, step, b,
                                   static_cast<const Numbers*>(numbers));
}

}  // namespace diffit::kernels::cuda
