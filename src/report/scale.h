// From figures to places on paper: ranges, ticks, their labels. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "report/plot.h"

namespace diffit {

struct Range {
  double low = 0, high = 1;
};

/// Multiples of 1, 2 or 5 times a power of ten within [low, high], `count` of them or about as many. For
/// low < high, both finite.
std::vector<double> linear_ticks(double low, double high, int count);

/// Ticks of a log axis within [low, high], 0 < low < high: powers of ten, every k-th of them where there are
/// more than `count`; with their double and fivefold where there are fewer than three; linear_ticks where
/// that leaves fewer than two.
std::vector<double> log_ticks(double low, double high, int count);

/// The range an axis shows of `values`: its own ends where they are given; else the data's, widened by a
/// twentieth at either end (of the logarithm on a log axis), and never empty. A linear axis whose data lie at
/// or above 0 does not go below 0. Values that cannot be shown are passed over.
Range range_of(const Axis& axis, const std::vector<double>& values);

/// Whether a value has a place on the axis.
bool can_be_shown(Scale scale, double value);

/// Maps a range to places: low to `from`, high to `to`.
class Mapping {
 public:
  Mapping(Scale scale, Range range, double from, double to);
  double operator()(double value) const;
  /// Ticks in the range, `count` of them or about as many.
  std::vector<double> ticks(int count) const;
  Range range() const { return range_; }

 private:
  Scale scale_;
  Range range_;
  double from_, to_;
};

/// "0.25", "200k", "1.2M", "5×10⁻⁴", with no more digits than tell the ticks apart.
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

/// `value` with `digits` significant digits for people: "0.3142", "1234", "1.2×10⁻⁵", "not finite".
std::string figure(double value, int digits = 4);

/// At most about `most` points that look the same as all: the first, the last, and of every stretch between
/// the lowest and the highest.
std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points, std::size_t most);

/// Mean over the `window` points around each, always as many before as after it: a window that leans would
/// lift a falling curve. Near the start it reaches over a third of what lies before, where curves are steep;
/// at the end it closes. Intervals are dropped.
std::vector<PlotPoint> running_mean(const std::vector<PlotPoint>& points, std::size_t window);

}  // namespace diffit
