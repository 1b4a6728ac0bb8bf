#include "plot/scale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace diffit::plot {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(LinearTicks, AreRoundNumbersInRange) {
  EXPECT_EQ(linear_ticks(0, 100, 5), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(linear_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
}

TEST(LinearTicks, CountIsNearRequestAtEveryScale) {
  for (double low : {-3.7, 0.0, 1e-9, 12.34}) {
    for (double span = 1e-6; span < 1e13; span *= 3.7) {
      for (const int count : {3, 5, 8}) {
        const std::vector<double> ticks = linear_ticks(low, low + span, count);
        EXPECT_GE(ticks.size(), count / 2) << low << " + " << span;
        EXPECT_LE(ticks.size(), 2 * count + 1) << low << " + " << span;
        for (const double tick : ticks) {
          EXPECT_GE(tick, low - span * 1e-6);
          EXPECT_LE(tick, low + span * (1 + 1e-6));
        }
      }
    }
  }
}

TEST(LogTicks, ArePowersOfTenOrFinerForFewDecades) {
  EXPECT_EQ(log_ticks(0.002, 80, 6).size(), 4);  // 0.01, 0.1, 1, 10
  EXPECT_EQ(log_ticks(1, 10, 6), (std::vector<double>{1, 2, 5, 10}));
  EXPECT_EQ(log_ticks(1e-12, 1e12, 5).size(), 5);
  EXPECT_GE(log_ticks(3.1, 3.9, 5).size(), 2) << "within a decade without a round power";
}

TEST(RangeOf, IsNeverEmptyAndIgnoresInvalidValues) {
  const Axis linear{.label = "", .scale = Scale::linear, .low = {}, .high = {}};
  const Axis log{.label = "", .scale = Scale::log, .low = {}, .high = {}};
  for (const Axis& axis : {linear, log}) {
    for (const std::vector<double>& values :
         {std::vector<double>{}, {kNaN}, {kInfinity, -kInfinity}, {3, 3, 3}, {0}, {-5, kNaN}}) {
      const Range range = range_of(axis, values);
      EXPECT_LT(range.low, range.high);
      EXPECT_TRUE(std::isfinite(range.low) && std::isfinite(range.high));
      EXPECT_TRUE(axis.scale == Scale::linear || range.low > 0);
    }
  }
  EXPECT_EQ(range_of(linear, {0, 10}).low, 0) << "nothing below 0 where the data have nothing there";
  EXPECT_DOUBLE_EQ(range_of(linear, {0, 10, kNaN}).high, 10.5);
}

TEST(RangeOf, KeepsGivenEnds) {
  const Range range = range_of({.label = "", .scale = Scale::linear, .low = -1, .high = 2}, {0, 100});
  EXPECT_EQ(range.low, -1);
  EXPECT_EQ(range.high, 2);
}

TEST(Mapping, MapsEndsAndMiddleAccordingToScale) {
  const Mapping linear(Scale::linear, {0, 10}, 100, 0), log(Scale::log, {0.01, 100}, 0, 40);
  EXPECT_DOUBLE_EQ(linear(0), 100);
  EXPECT_DOUBLE_EQ(linear(10), 0);
  EXPECT_DOUBLE_EQ(linear(5), 50);
  EXPECT_NEAR(log(1), 20, 1e-12);
  EXPECT_NEAR(log(100), 40, 1e-12);
}

TEST(TickLabels, UseNoMoreDigitsThanNeeded) {
  EXPECT_EQ(tick_labels({0, 0.25, 0.5}), (std::vector<std::string>{"0", "0.25", "0.5"}));
  EXPECT_EQ(tick_labels({0, 200000, 400000, 1200000}),
            (std::vector<std::string>{"0", "200k", "400k", "1.2M"}));
  EXPECT_EQ(tick_labels({0.0001, 0.01, 1, 100}), (std::vector<std::string>{"10⁻⁴", "0.01", "1", "100"}));
  EXPECT_EQ(tick_labels({-2, 0, 2}), (std::vector<std::string>{"−2", "0", "2"}));
  EXPECT_EQ(tick_labels({0, 0.0005, 0.001}), (std::vector<std::string>{"0", "0.0005", "0.001"}));
}

TEST(TickLabels, AreDistinctForDistinctTicks) {
  for (double span = 1e-5; span < 1e14; span *= 2.3) {
    const std::vector<std::string> labels = tick_labels(linear_ticks(span, 2 * span, 6));
    for (std::size_t i = 1; i < labels.size(); ++i) EXPECT_NE(labels[i], labels[i - 1]) << "span " << span;
  }
}

TEST(Figure, HasRequestedDigits) {
  EXPECT_EQ(figure(0.314159, 4), "0.3142");
  EXPECT_EQ(figure(1234.5678, 4), "1235");
  EXPECT_EQ(figure(-2, 3), "−2.00");
  EXPECT_EQ(figure(0.0000123, 2), "1.2×10⁻⁵");
  EXPECT_EQ(figure(9.9999e-6, 3), "10⁻⁵");
  EXPECT_EQ(figure(kNaN), "not finite");
  EXPECT_EQ(figure(0), "0");
}

TEST(Thinned, KeepsEndsAndExtremes) {
  std::vector<PlotPoint> points;
  for (int i = 0; i < 10000; ++i) points.push_back({static_cast<double>(i), std::sin(i * 0.01), {}, {}});
  points[5432].y = 50;
  points[7777].y = -50;
  const std::vector<PlotPoint> kept = thinned(points, 300);
  EXPECT_LE(kept.size(), 300);
  EXPECT_EQ(kept.front().x, 0);
  EXPECT_EQ(kept.back().x, 9999);
  const auto has = [&](double x) {
    return std::any_of(kept.begin(), kept.end(), [&](const PlotPoint& p) { return p.x == x; });
  };
  EXPECT_TRUE(has(5432));
  EXPECT_TRUE(has(7777));
  for (std::size_t i = 1; i < kept.size(); ++i) EXPECT_LT(kept[i - 1].x, kept[i].x);
}

TEST(Thinned, KeepsShortLines) {
  const std::vector<PlotPoint> points{{1, 2, {}, {}}, {2, 3, {}, {}}};
  EXPECT_EQ(thinned(points, 4).size(), 2);
}

TEST(RunningMean, KeepsStraightLine) {
  std::vector<PlotPoint> points;
  for (int i = 0; i < 50; ++i) points.push_back({static_cast<double>(i), 3.0 - 0.5 * i, {}, {}});
  const std::vector<PlotPoint> means = running_mean(points, 9);
  for (std::size_t i = 0; i < points.size(); ++i) EXPECT_NEAR(means[i].y, points[i].y, 1e-12) << i;
}

TEST(RunningMean, ReducesNoise) {
  std::vector<PlotPoint> points;
  for (int i = 0; i < 101; ++i) points.push_back({static_cast<double>(i), i % 2 == 0 ? 1.0 : -1.0, {}, {}});
  EXPECT_NEAR(running_mean(points, 20)[50].y, 1.0 / 21, 1e-12);
  EXPECT_EQ(running_mean(points, 20)[0].y, 1) << "the first point has nothing before it";
}

}  // namespace
}  // namespace diffit::plot
