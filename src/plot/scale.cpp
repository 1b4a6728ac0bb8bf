#include "plot/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace diffit::plot {

namespace {

/// Returns 1, 2 or 5 times a power of ten, whichever is nearest to `size` in ratio.
double nice_step(double size) {
  const double power = std::pow(10.0, std::floor(std::log10(size)));
  const double ratio = size / power;
  if (ratio < 1.5) return power;
  if (ratio < 3.5) return 2 * power;
  return ratio < 7.5 ? 5 * power : 10 * power;
}

std::string superscript(int exponent) {
  static constexpr const char* kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text;
  for (const char c : std::to_string(exponent)) text += c == '-' ? "⁻" : kDigits[c - '0'];
  return text;
}

/// Formats a number with `decimals` digits after the point, without an exponent or trailing zeros.
std::string plain(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, std::clamp(decimals, 0, 12));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  if (text == "-0") text = "0";
  if (text[0] == '-') text = "−" + text.substr(1);
  return text;
}

/// Formats "5×10⁻⁴", or "10⁻⁴" if the mantissa is 1.
std::string scientific(double value, int digits) {
  int exponent = static_cast<int>(std::floor(std::log10(std::fabs(value))));
  std::string mantissa = plain(value / std::pow(10.0, exponent), digits - 1);
  if (mantissa == "10") {
    mantissa = "1";
    ++exponent;
  }
  const std::string power = "10" + superscript(exponent);
  return mantissa == "1" ? power : mantissa + "×" + power;
}

struct Prefix {
  double size;
  const char* letter;
};
constexpr Prefix kPrefixes[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};

/// `largest`: largest value on the axis. Small ticks are written as powers of ten unless `largest` has a
/// plain form and they are not much smaller.
std::string tick_label(double value, double step, double largest) {
  const double size = std::fabs(value);
  if (value == 0 || size < step * 1e-6) return "0";
  const bool plain_enough = largest >= 1e-3 && size >= largest / 100;
  if ((size < 1e-3 && !plain_enough) || size >= 1e15) return scientific(value, 4);
  if (size >= 1e4 || (size >= 1e3 && step >= 1e3)) {
    for (const auto& [unit, letter] : kPrefixes) {
      if (size < unit) continue;
      return plain(value / unit, static_cast<int>(std::ceil(-std::log10(step / unit) + 0.5))) + letter;
    }
  }
  return plain(value, static_cast<int>(std::ceil(-std::log10(step) + 0.5)));
}

}  // namespace

std::vector<double> linear_ticks(double low, double high, int count) {
  const double step = nice_step((high - low) / std::max(1, count));
  std::vector<double> ticks;
  // Integer multiples avoid the drift of accumulated steps.
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last && ticks.size() < 100; ++k) ticks.push_back(k * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high, int count) {
  const int first = static_cast<int>(std::ceil(std::log10(low) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
  const int decades = last - first + 1;
  std::vector<double> ticks;
  if (decades >= 3) {
    const int stride = (decades + std::max(1, count) - 1) / std::max(1, count);
    for (int e = first; e <= last; e += stride) ticks.push_back(std::pow(10.0, e));
    return ticks;
  }
  for (int e = first - 1; e <= last; ++e) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, e);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks.size() >= 2 ? ticks : linear_ticks(low, high, count);
}

bool can_be_shown(Scale scale, double value) {
  return std::isfinite(value) && (scale == Scale::linear || value > 0);
}

Range range_of(const Axis& axis, const std::vector<double>& values) {
  double low = 0, high = 0;
  bool any = false;
  for (const double value : values) {
    if (!can_be_shown(axis.scale, value)) continue;
    low = any ? std::min(low, value) : value;
    high = any ? std::max(high, value) : value;
    any = true;
  }
  if (!any) low = 1, high = axis.scale == Scale::log ? 10 : 2;
  const bool positive = low >= 0;
  if (axis.scale == Scale::log) {
    const double factor = high > low * (1 + 1e-12) ? std::pow(high / low, 0.05) : 1.5;
    low /= factor;
    high *= factor;
  } else {
    const double gap = high - low > 1e-12 * std::fabs(high) ? (high - low) * 0.05
                       : high != 0                          ? std::fabs(high) * 0.1
                                                            : 1;
    low -= gap;
    high += gap;
    if (positive) low = std::max(low, 0.0);
  }
  Range range{axis.low.value_or(low), axis.high.value_or(high)};
  if (!(range.low < range.high)) range.high = axis.scale == Scale::log ? range.low * 10 : range.low + 1;
  return range;
}

Mapping::Mapping(Scale scale, Range range, double from, double to)
    : scale_(scale), range_(range), from_(from), to_(to) {}

double Mapping::operator()(double value) const {
  const double share = scale_ == Scale::log
                           ? std::log(value / range_.low) / std::log(range_.high / range_.low)
                           : (value - range_.low) / (range_.high - range_.low);
  return from_ + share * (to_ - from_);
}

std::vector<double> Mapping::ticks(int count) const {
  return scale_ == Scale::log ? log_ticks(range_.low, range_.high, count)
                              : linear_ticks(range_.low, range_.high, count);
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  std::vector<std::string> labels;
  double largest = 0;
  for (const double tick : ticks) largest = std::max(largest, std::fabs(tick));
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    // The distance to the nearest tick determines how many digits are needed.
    double step = std::fabs(ticks[i]);
    if (i > 0) step = std::min(step > 0 ? step : 1e300, std::fabs(ticks[i] - ticks[i - 1]));
    if (i + 1 < ticks.size()) step = std::min(step > 0 ? step : 1e300, std::fabs(ticks[i + 1] - ticks[i]));
    labels.push_back(tick_label(ticks[i], step > 0 ? step : 1, largest));
  }
  return labels;
}

std::string figure(double value, int digits) {
  if (!std::isfinite(value)) return "not finite";
  if (value == 0) return "0";
  const int exponent = static_cast<int>(std::floor(std::log10(std::fabs(value))));
  if (exponent < -4 || exponent >= 15) return scientific(value, digits);
  std::string text = fmt::format("{:.{}f}", value, std::clamp(digits - 1 - exponent, 0, 12));
  if (text[0] == '-') text = "−" + text.substr(1);
  return text;
}

std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points, std::size_t most) {
  if (points.size() <= most || most < 4) return points;
  const std::size_t stretches = (most - 2) / 2, inner = points.size() - 2;
  std::vector<PlotPoint> kept{points.front()};
  const auto by_y = [](const PlotPoint& a, const PlotPoint& b) { return a.y < b.y; };
  for (std::size_t s = 0; s < stretches; ++s) {
    const auto first = points.begin() + 1 + static_cast<std::ptrdiff_t>(s * inner / stretches);
    const auto last = points.begin() + 1 + static_cast<std::ptrdiff_t>((s + 1) * inner / stretches);
    if (first == last) continue;
    auto [low, high] = std::minmax_element(first, last, by_y);
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (high != low) kept.push_back(*high);
  }
  kept.push_back(points.back());
  return kept;
}

std::vector<PlotPoint> running_mean(const std::vector<PlotPoint>& points, std::size_t window) {
  std::vector<PlotPoint> means;
  const std::size_t half = window / 2;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::size_t reach = std::min({half, i / 3, points.size() - 1 - i});
    double sum = 0;
    for (std::size_t k = i - reach; k <= i + reach; ++k) sum += points[k].y;
    means.push_back({points[i].x, sum / static_cast<double>(2 * reach + 1), {}, {}});
  }
  return means;
}

}  // namespace diffit::plot
