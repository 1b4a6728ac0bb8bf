#include "jobs/bench/scores.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/random.h"
#include "metrics/frechet.h"
#include "metrics/precision_recall.h"
#include "runtime/parallel.h"

namespace diffit::jobs {

namespace {

at::Tensor random_features(std::int64_t count, std::int64_t width, double scale, std::uint64_t draw) {
  at::Tensor x = at::empty({count, width}, at::kFloat);
  runtime::parallel_for(count, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Random random(draw, stream_of(Purpose::test, static_cast<std::uint64_t>(i)));
      random.normal({x.mutable_data_ptr<float>() + i * width, static_cast<std::size_t>(width)});
    }
  });
  return x.mul_(scale);
}

Gaussian moments_of(const at::Tensor& features) {
  Moments moments(features.size(1));
  for (const at::Tensor& piece : features.split(256)) moments.add(piece);
  return moments.gaussian();
}

}  // namespace

BenchFigures bench_scores(const ScoresBenchOptions& options) {
  const at::Tensor a = random_features(options.images, options.width, 1, 1);
  const at::Tensor b = random_features(options.images, options.width, 1.1, 2);
  std::function<Json()> once;
  Gaussian of_a, of_b;
  if (options.what == "precision-recall") {
    once = [&] {
      const PrecisionRecall result = precision_recall(a, b);
      return Json{{"precision", result.precision}, {"recall", result.recall}};
    };
  } else {
    DIFFIT_CHECK(options.what == "frechet", "`what`: wanted precision-recall or frechet for scores, got '{}'",
                 options.what);
    of_a = moments_of(a);
    of_b = moments_of(b);
    once = [&] { return Json{{"distance", FrechetDistance(of_a, of_b).value()}}; };
  }
  std::vector<double> seconds;
  Json result;
  for (int round = 0; round < options.rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    result = once();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::vector<double> sorted = seconds;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  Json object = {{"what", options.what},
                 {"pictures", options.images},
                 {"width", options.width},
                 {"seconds", seconds},
                 {"median", median}};
  object.update(result);
  return BenchFigures{
      object,
      fmt::format(
          "scores {}: {:.3f} s (median of {}; {:.3f} to {:.3f}), {} and {} images with {} features each\n",
          options.what, median, seconds.size(), sorted.front(), sorted.back(), options.images, options.images,
          options.width)};
}

}  // namespace diffit::jobs
