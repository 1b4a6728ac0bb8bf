// Standard normal numbers of counter-based streams, the same as those of base/random.h up to rounding: Philox
// 4x32-10 (Salmon et al. 2011) and Box-Muller in float64.
#include "kernels/cuda/noise.cuh"

#include <cmath>

#include "kernels/cuda/device.cuh"

namespace diffit::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr double kPi = 3.14159265358979323846;

struct Words {
  uint32_t w[4];
};

/// One block of Philox with ten rounds.
DIFFIT_DEVICE Words philox(Words c, uint32_t key0, uint32_t key1) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c.w[0], p1 = uint64_t{0xCD9E8D57u} * c.w[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.w[1] ^ key0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.w[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

DIFFIT_DEVICE double uniform(uint32_t bits) {
  return (bits + 0.5) * 0x1p-32;
}

/// Pair `pair` of a row: two words of the row's stream to two numbers, those of index 2 pair - shift and the
/// next.
template <int>
__global__ void __launch_bounds__(kThreads)
    fill_kernel(const Noise p, const int64_t* first, const float* scale, float* out) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int row = static_cast<int>(blockIdx.y);
  const int64_t index = 2 * pair - p.shift;
  if (index >= p.numbers) return;
  const uint64_t stream = p.stream | static_cast<uint64_t>(*first + row), word = p.word + 2 * pair;
  const auto block = [&](uint64_t number) {
    return philox({{static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32),
                    static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)}},
                  static_cast<uint32_t>(p.seed), static_cast<uint32_t>(p.seed >> 32));
  };
  const Words words = block(word / 4);
  const int at = static_cast<int>(word % 4);
  const uint32_t a = at == 0 ? words.w[0] : at == 1 ? words.w[1] : at == 2 ? words.w[2] : words.w[3];
  const uint32_t b = at == 0   ? words.w[1]
                     : at == 1 ? words.w[2]
                     : at == 2 ? words.w[3]
                               : block(word / 4 + 1).w[0];
  const double radius = sqrt(-2.0 * log(uniform(a))), angle = 2.0 * kPi * uniform(b);
  const float factor = scale == nullptr ? 1.f : scale[row];
  float* const to = out + static_cast<int64_t>(row) * p.numbers;
  if (index >= 0) to[index] = static_cast<float>(radius * cos(angle)) * factor;
  if (index + 1 < p.numbers) to[index + 1] = static_cast<float>(radius * sin(angle)) * factor;
}

}  // namespace

Status fill_noise(const Noise& shape, const std::int64_t* first, const float* scale, float* out,
                  Stream stream) {
  const std::int64_t pairs = (shape.numbers + shape.shift + 1) / 2;
  const dim3 grid(static_cast<unsigned>((pairs + kThreads - 1) / kThreads),
                  static_cast<unsigned>(shape.rows));
  return launch<&fill_kernel<0>>(grid, kThreads, 0, stream, shape, first, scale, out);
}

}  // namespace diffit::kernels::cuda
