#include "jobs/bench/features.h"

#include <algorithm>
#include <chrono>

#include "base/random.h"
#include "base/stopwatch.h"
#include "metrics/feature_network.h"

namespace diffit::jobs {

namespace {

at::Tensor random_images(const FeaturesBenchOptions& options, std::int64_t channels) {
  const at::Tensor images = at::empty({options.batch, options.size, options.size, channels}, at::kByte);
  Random random(0, stream_of(Purpose::test));
  std::uint8_t* pixels = images.mutable_data_ptr<std::uint8_t>();
  std::generate_n(pixels, images.numel(), [&] { return static_cast<std::uint8_t>(random.bits()); });
  return images;
}

}  // namespace

BenchFigures bench_features(const FeaturesBenchOptions& options, const Runtime& machine) {
  const auto network = load_feature_network(options.network, machine.device, machine.dtype);
  const at::Tensor images = random_images(options, network->info().inception ? 3 : 1);
  network->extract(images);
  std::vector<double> rates;
  for (int round = 0; round < options.rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    double done = 0;
    do {
      network->extract(images);
      done += static_cast<double>(options.batch);
    } while (seconds_since(start) < options.seconds);
    rates.push_back(done / seconds_since(start));
  }
  std::vector<double> sorted = rates;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  const char* dtype = machine.dtype == at::kFloat ? "f32" : "bf16";
  return BenchFigures{
      {{"network", network->info().name},
       {"size", options.size},
       {"batch", options.batch},
       {"dtype", dtype},
       {"pictures_per_second", rates},
       {"median", median}},
      fmt::format(
          "features of {} {}: {:.1f} images/s at {} x {} (median of {}; {:.1f} to {:.1f}), batch {}\n",
          network->info().name, dtype, median, options.size, options.size, rates.size(), sorted.front(),
          sorted.back(), options.batch)};
}

}  // namespace diffit::jobs
