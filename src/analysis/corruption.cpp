#include "analysis/corruption.h"

#include <cmath>

#include "base/random.h"
#include "runtime/pch.h"

namespace diffit::analysis {

namespace {

using Kind = Corruption::Kind;

at::Tensor to_bytes(const at::Tensor& levels) {
  return levels.round().clamp(0, 255).to(at::kByte);
}

/// Separable Gaussian blur with repeated borders. x [N, R, R, C] float32.
at::Tensor blurred(const at::Tensor& x, double deviation) {
  const auto reach = static_cast<std::int64_t>(std::ceil(3 * deviation));
  at::Tensor kernel =
      at::exp(-at::arange(-reach, reach + 1, at::kDouble).square() / (2 * deviation * deviation));
  kernel = (kernel / kernel.sum()).to(at::kFloat);
  const std::int64_t n = x.size(0), side = x.size(1), channels = x.size(3);
  const at::Tensor planes = x.permute({0, 3, 1, 2}).reshape({n * channels, 1, side, side});
  const at::Tensor padded = at::replication_pad2d(planes, {reach, reach, reach, reach});
  const at::Tensor rows = at::conv2d(padded, kernel.view({1, 1, -1, 1}));
  return at::conv2d(rows, kernel.view({1, 1, 1, -1})).view({n, channels, side, side}).permute({0, 2, 3, 1});
}

/// Calls change(x[i], random) for each image of x [N, ...], with a random stream of its own.
template <class Change>
void for_every_image(const at::Tensor& x, std::uint64_t seed, std::int64_t first, const Change& change) {
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    Random random(seed, stream_of(Purpose::corruption, static_cast<std::uint64_t>(first + i)));
    change(x[i], random);
  }
}

}  // namespace

std::string Corruption::name() const {
  constexpr const char* names[] = {"blur", "noise", "contrast", "occlusion", "inversion"};
  const char* name = names[static_cast<int>(kind)];
  return kind == Kind::inversion ? name : fmt::format("{} {}", name, severity);
}

std::vector<Corruption> all_corruptions() {
  std::vector<Corruption> all;
  for (const Kind kind : {Kind::blur, Kind::noise, Kind::contrast, Kind::occlusion}) {
    for (int severity = 1; severity <= 3; ++severity) all.push_back({kind, severity});
  }
  all.push_back({Kind::inversion, 1});
  return all;
}

at::Tensor corrupted(const at::Tensor& images, const Corruption& corruption, std::uint64_t seed,
                     std::int64_t first) {
  const std::int64_t side = images.size(1), level = corruption.severity - 1;
  at::Tensor x = images.to(at::kFloat);
  switch (corruption.kind) {
    case Kind::blur:
      return to_bytes(blurred(x, static_cast<double>(side << level) / 64));
    case Kind::noise: {
      constexpr double deviations[] = {8, 24, 64};
      for_every_image(x, seed, first, [&](const at::Tensor& image, Random& random) {
        at::Tensor noise = at::empty_like(image);
        random.normal({noise.mutable_data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
        image.add_(noise, deviations[level]);
      });
      return to_bytes(x);
    }
    case Kind::contrast: {
      constexpr double kept[] = {0.75, 0.5, 0.25};
      const at::Tensor mean = x.mean({1, 2}, /*keepdim=*/true);
      return to_bytes(mean + (x - mean) * kept[level]);
    }
    case Kind::occlusion: {
      const std::int64_t square = std::max<std::int64_t>(1, side * (level + 2) / 8);
      for_every_image(x, seed, first, [&](const at::Tensor& image, Random& random) {
        const auto places = static_cast<std::uint32_t>(side - square + 1);
        const std::int64_t top = random.below(places), left = random.below(places);
        image.narrow(0, top, square).narrow(1, left, square).zero_();
      });
      return to_bytes(x);
    }
    case Kind::inversion:
      break;
  }
  return 255 - images;
}

}  // namespace diffit::analysis
