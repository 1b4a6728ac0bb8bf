#include "plot/plot.h"

#include <algorithm>
#include <cmath>

namespace diffit::plot {

std::vector<ScatterPoint> pareto_front(std::vector<ScatterPoint> points, Better better_x, Better better_y) {
  const double sign_x = better_x == Better::lower ? 1 : -1, sign_y = better_y == Better::lower ? 1 : -1;
  std::erase_if(points, [](const ScatterPoint& p) { return !std::isfinite(p.x) || !std::isfinite(p.y); });
  const auto dominates = [&](const ScatterPoint& a, const ScatterPoint& b) {
    const double dx = sign_x * (a.x - b.x), dy = sign_y * (a.y - b.y);
    return dx <= 0 && dy <= 0 && (dx < 0 || dy < 0);
  };
  std::vector<ScatterPoint> front;
  for (const ScatterPoint& point : points) {
    const bool beaten = std::any_of(points.begin(), points.end(),
                                    [&](const ScatterPoint& other) { return dominates(other, point); });
    if (!beaten) front.push_back(point);
  }
  std::stable_sort(front.begin(), front.end(),
                   [](const ScatterPoint& a, const ScatterPoint& b) { return a.x < b.x; });
  return front;
}

}  // namespace diffit::plot
