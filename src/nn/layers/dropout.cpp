#include "nn/layers/dropout.h"

#include <cmath>

#include "base/random.h"
#include "runtime/parallel.h"
#include "runtime/pch.h"

namespace diffit::nn {

namespace {

constexpr std::uint64_t kPlaces = 4096;
constexpr double kLevels = 65536;  // each 32-bit draw gives two numbers of 16 bits

void fill_kept(bool* kept, std::int64_t count, std::uint32_t zeros, Random random) {
  for (std::int64_t i = 0; i < count; i += 2) {
    const std::uint32_t bits = random.bits();
    kept[i] = (bits & 0xffffU) >= zeros;
    if (i + 1 < count) kept[i + 1] = (bits >> 16) >= zeros;
  }
}

}  // namespace

at::Tensor apply_dropout(const at::Tensor& x, const Dropout& dropout) {
  const auto zeros = static_cast<std::uint32_t>(std::lround(dropout.rate * kLevels));
  if (zeros == 0) return x;
  at::Tensor kept = at::empty(x.sizes(), at::kBool);
  bool* out = kept.mutable_data_ptr<bool>();
  const std::int64_t each = x.numel() / x.size(0);
  parallel_for(x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const std::uint64_t counter = static_cast<std::uint64_t>(dropout.first_image + b) * kPlaces +
                                    static_cast<std::uint64_t>(dropout.place);
      fill_kept(out + b * each, each, zeros, Random(dropout.seed, stream_of(Purpose::dropout, counter)));
    }
  });
  return x * kept.to(x.device()) * (kLevels / (kLevels - zeros));
}

}  // namespace diffit::nn
