#include "metrics/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "metrics/testing.h"

namespace diffit::metrics {
namespace {

using testing::normals;

const FeatureInfo kTiny{
    .name = "TinyNet", .identity = "0123456789abcdef", .width = 6, .spatial = 4, .classes = 3};

/// Sums of random features in batches of 50, all kept.
FeatureSet measured(std::int64_t count, std::uint64_t draw, double scale = 1,
                    FeatureSums sums = {true, true, true, true, true}) {
  FeatureSum sum(kTiny, sums, 10);  // fewer than come
  for (std::int64_t first = 0; first < count; first += 50) {
    const std::int64_t size = std::min<std::int64_t>(50, count - first);
    const std::uint64_t part = 10000 * draw + static_cast<std::uint64_t>(first);
    sum.add({(normals(size, 6, part) * scale).to(at::kFloat), normals(size, 4, part + 1).to(at::kFloat),
             normals(size, 3, part + 2).softmax(1).to(at::kFloat)});
  }
  return sum.finish();
}

EvaluationOptions all() {
  EvaluationOptions options;
  options.metrics = read_metrics("kid,is,fid,precision,sfid,recall,fid");
  options.bootstrap.replicates = 100;
  return options;
}

TEST(Evaluate, NamesMetricsAfterNetwork) {
  const std::vector<MetricResult> results = evaluate(kTiny, measured(130, 1), measured(170, 2), all());
  std::vector<std::string> keys;
  for (const MetricResult& f : results) {
    keys.push_back(f.key);
    EXPECT_TRUE(f.interval.has_value()) << f.key;
    EXPECT_EQ(f.samples, 130);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"fd_tinynet", "sfid", "is", "precision", "recall", "kid"}));
  EXPECT_EQ(results[0].label, "FD-TinyNet");
  EXPECT_EQ(results[0].reference, 170);
}

TEST(Evaluate, KeepsOnlyRequestedFeatures) {
  EvaluationOptions options;
  options.metrics = read_metrics("fid");
  options.intervals = false;
  const FeatureSums sums = sums_of_samples(options);
  EXPECT_TRUE(sums.pooled);
  EXPECT_FALSE(sums.keep_pooled || sums.spatial || sums.score || sums.keep_spatial);
  const FeatureSet a = measured(60, 3, 1, sums), b = measured(60, 4, 1, sums_of_reference(options));
  EXPECT_FALSE(a.features.defined());
  const std::vector<MetricResult> results = evaluate(kTiny, a, b, options);
  EXPECT_FALSE(results.at(0).interval.has_value());
  options.metrics = read_metrics("precision");
  EXPECT_THROW(evaluate(kTiny, a, b, options), Error);
  options.metrics = read_metrics("is");
  EXPECT_THROW(evaluate(kTiny, a, b, options), Error);
  options.metrics = read_metrics("sfid");
  EXPECT_THROW(evaluate(kTiny, a, b, options), Error);
}

TEST(Evaluate, WarnsAboutUnreliableMetrics) {
  EvaluationOptions options = all();
  options.extrapolate = true;
  const std::vector<MetricResult> results = evaluate(kTiny, measured(40, 5), measured(5, 6), options);
  const auto said = [&](std::size_t figure, const std::string& word) {
    for (const std::string& warning : results.at(figure).warnings)
      if (warning.find(word) != std::string::npos) return true;
    return false;
  };
  EXPECT_TRUE(said(0, "40 samples"));
  EXPECT_TRUE(said(0, "5 reference images"));
  EXPECT_TRUE(said(0, "rank 4 of 6"));
  EXPECT_TRUE(said(2, "5000"));
  EXPECT_TRUE(said(3, "5 reference images"));
  EXPECT_TRUE(said(5, "subsets of 5"));
  EXPECT_TRUE(results[0].details.contains("infinity"));
}

TEST(Evaluate, ReadsMetricsByName) {
  const std::vector<const Metric*> two = read_metrics(" recall , fid");
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[0]->name, std::string("fid"));
  EXPECT_EQ(two[1]->name, std::string("recall"));
  EXPECT_EQ(metric_names(), "fid, sfid, is, precision, recall, kid");
  try {
    read_metrics("fid,recal");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("recall"), std::string::npos);
  }
}

TEST(Evaluate, EveryMetricOfTheTableIsComputedAndSaysWhatItIs) {
  for (const Metric* metric : all_metrics()) {
    SCOPED_TRACE(metric->name);
    EXPECT_GT(std::string(metric->title).size(), 0U);
    EXPECT_GT(std::string(metric->source).size(), 0U);
    EvaluationOptions options;
    options.metrics = {metric};
    options.bootstrap.replicates = 20;
    // What it asks for is enough, and each part of it is needed.
    const FeatureSums a = sums_of_samples(options), b = sums_of_reference(options);
    const std::vector<MetricResult> results =
        evaluate(kTiny, measured(60, 7, 1, a), measured(80, 8, 1, b), options);
    ASSERT_EQ(results.size(), 1U);
    EXPECT_TRUE(std::isfinite(results[0].value));
    EXPECT_TRUE(results[0].interval.has_value());
    EXPECT_EQ(results[0].metric, metric);
    EXPECT_EQ(results[0].reference, metric->uses_reference ? 80 : 0);
    EXPECT_THROW(evaluate(kTiny, measured(60, 7, 1, {.pooled = false}), measured(80, 8, 1, b), options),
                 Error);
    if (metric->uses_reference) {
      EXPECT_THROW(evaluate(kTiny, measured(60, 7, 1, a), measured(80, 8, 1, {.pooled = false}), options),
                   Error);
    }
  }
}

TEST(Evaluate, OmitsMetricsThatNeedMoreImages) {
  const Available reference{.images = 40, .measured = true};
  const auto names = [&](std::int64_t images) {
    std::string text;
    for (const Metric* metric : possible_metrics(kTiny, {.images = images, .measured = true}, reference))
      text += std::string(metric->name) + " ";
    return text;
  };
  EXPECT_EQ(names(1), "is ");
  EXPECT_EQ(names(2), "fid sfid is kid ");
  EXPECT_EQ(names(4), "fid sfid is precision recall kid ");
  const Available two{.images = 2, .measured = true};
  EXPECT_EQ(too_few_images(kTiny, two, reference),
            (std::vector<std::string>{"precision: not computed: it needs at least 4 images, SAMPLES has 2",
                                      "recall: not computed: it needs at least 4 images, SAMPLES has 2"}));
  EXPECT_EQ(too_few_images(kTiny, reference, two).size(), 2u);
  std::vector<const Metric*> metrics = read_metrics("fid,precision");
  EXPECT_EQ(remove_too_few_images(metrics, kTiny, two, reference).size(), 1u);
  EXPECT_EQ(metrics, read_metrics("fid"));
  metrics = read_metrics("precision");  // nothing else is left: check_metrics says why it cannot be computed
  EXPECT_TRUE(remove_too_few_images(metrics, kTiny, two, reference).empty());
  EXPECT_EQ(metrics, read_metrics("precision"));
  EXPECT_TRUE(too_few_images(kTiny, {}, {}).empty());
  EXPECT_THROW(check_metrics(read_metrics("precision"), kTiny, two, reference), Error);
}

}  // namespace
}  // namespace diffit::metrics
