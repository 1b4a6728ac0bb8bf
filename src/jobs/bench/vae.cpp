#include "jobs/bench/vae.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "runtime/autocast.h"

namespace diffit::jobs {

BenchFigures bench_vae(const Vae& vae, const VaeBenchOptions& options, const Runtime& machine) {
  const VaeConfig& config = vae.config();
  DIFFIT_CHECK(options.side % config.factor() == 0,
               "`size`: {}: the autoencoder needs sides that are multiples of {}", options.side,
               config.factor());
  const bool encode = options.what != "decode", decode = options.what != "encode";
  DIFFIT_CHECK(options.what == "encode" || options.what == "decode" || options.what == "forward",
               "`what`: wanted train, forward, encode or decode for an autoencoder, got '{}'", options.what);
  constexpr std::int64_t kPixels = 512 * 512, kMost = 64;
  const std::int64_t batch =
      options.batch > 0 ? options.batch
                        : std::clamp<std::int64_t>(kPixels / (options.side * options.side), 1, kMost);
  const at::NoGradGuard no_grad;
  const at::TensorOptions on(machine.device);
  const at::Tensor images =
      at::rand({batch, config.in_channels, options.side, options.side}, on).mul_(2).sub_(1);
  const std::int64_t side = options.side / config.factor();
  const at::Tensor z = at::randn({batch, config.latent_channels, side, side}, on);
  const auto once = [&] {
    const Autocast autocast(machine.device.type(), machine.dtype);
    if (encode) vae.encode(images);
    // Read back: on a GPU the work is done only then.
    if (decode) return vae.decode(z).to(at::kFloat).sum().item<float>();
    return 0.0F;
  };
  using Clock = std::chrono::steady_clock;
  once();
  std::vector<double> rates;
  for (int round = 0; round < options.rounds; ++round) {
    const auto start = Clock::now();
    double done = 0, seconds = 0;
    do {
      once();
      done += static_cast<double>(batch);
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
    } while (seconds < options.seconds);
    rates.push_back(done / seconds);
  }
  std::vector<double> sorted = rates;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  const char* dtype = machine.dtype == at::kFloat ? "f32" : "bf16";
  return BenchFigures{
      {{"config", options.config},
       {"what", options.what},
       {"size", options.side},
       {"batch", batch},
       {"dtype", dtype},
       {"images_per_second", rates},
       {"median", median}},
      fmt::format("{} {} {}: {:.2f} img/s at {} x {} (median of {}; {:.2f} to {:.2f}), batch {}",
                  options.config, options.what, dtype, median, options.side, options.side, rates.size(),
                  sorted.front(), sorted.back(), batch)};
}

}  // namespace diffit::jobs
