// Mapping of values to positions: ranges, ticks and labels. All functions are pure.
#pragma once

#include <string>
#include <vector>

#include "plot/plot.h"

namespace diffit::plot {

struct Range {
  double low = 0, high = 1;
};

/// Returns multiples of 1, 2 or 5 times a power of ten within [low, high], about `count` of them. Requires
/// low < high, both finite.
std::vector<double> linear_ticks(double low, double high, int count);

/// Returns ticks of a log axis within [low, high], 0 < low < high: powers of ten, or every k-th of them if
/// there are more than `count`; if there are fewer than three, also 2 and 5 times powers of ten; if that
/// gives fewer than two, linear_ticks().
std::vector<double> log_ticks(double low, double high, int count);

/// Range of an axis for `values`: its own ends if given, otherwise the range of the data extended by 5% at
/// each end (of the logarithm on a log axis); never empty. A linear axis does not go below 0 if no value
/// does. Values that cannot be shown are ignored.
Range range_of(const Axis& axis, const std::vector<double>& values);

/// Whether a value has a position on the axis: finite, and above 0 on a log axis.
bool can_be_shown(Scale scale, double value);

/// Maps a range to positions: `low` to `from` and `high` to `to`.
class Mapping {
 public:
  Mapping(Scale scale, Range range, double from, double to);
  /// Returns the position of a value.
  double operator()(double value) const;
  /// Returns ticks in the range, about `count` of them.
  std::vector<double> ticks(int count) const;
  Range range() const { return range_; }

 private:
  Scale scale_;
  Range range_;
  double from_, to_;
};

/// Labels such as "0.25", "200k", "1.2M", "5×10⁻⁴", with no more digits than needed to distinguish the ticks.
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

/// Formats `value` with `digits` significant digits: "0.3142", "1234", "1.2×10⁻⁵", "not finite".
std::string figure(double value, int digits = 4);

/// Reduces a curve to about `most` points without changing its appearance: keeps the first and last points,
/// and the lowest and highest point of every segment.
std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points, std::size_t most);

/// Mean over about `window` points around each point, always with as many points before it as after it, since
/// an asymmetric window would shift a falling curve. Near the start, where curves are steep, it extends at
/// most a third of the way to the first point; near the end it shrinks. Intervals are dropped.
std::vector<PlotPoint> running_mean(const std::vector<PlotPoint>& points, std::size_t window);

}  // namespace diffit::plot
