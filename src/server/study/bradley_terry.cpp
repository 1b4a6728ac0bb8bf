#include "server/study/bradley_terry.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace diffit::server {

namespace {

constexpr double kNormal95 = 1.959963984540054;

using Matrix = std::vector<std::vector<double>>;

Matrix zeros(std::size_t n) {
  return Matrix(n, std::vector<double>(n, 0.0));
}

/// Inverse of a symmetric positive definite matrix, by Gauss and Jordan.
Matrix inverse(Matrix a) {
  const std::size_t n = a.size();
  Matrix out = zeros(n);
  for (std::size_t i = 0; i < n; ++i) out[i][i] = 1;
  for (std::size_t column = 0; column < n; ++column) {
    std::size_t pivot = column;
    for (std::size_t r = column + 1; r < n; ++r) {
      if (std::abs(a[r][column]) > std::abs(a[pivot][column])) pivot = r;
    }
    std::swap(a[pivot], a[column]);
    std::swap(out[pivot], out[column]);
    const double divisor = a[column][column];
    for (std::size_t c = 0; c < n; ++c) {
      a[column][c] /= divisor;
      out[column][c] /= divisor;
    }
    for (std::size_t r = 0; r < n; ++r) {
      if (r == column) continue;
      const double factor = a[r][column];
      for (std::size_t c = 0; c < n; ++c) {
        a[r][c] -= factor * a[column][c];
        out[r][c] -= factor * out[column][c];
      }
    }
  }
  return out;
}

void check_connected(const Wins& wins) {
  std::vector<bool> reached(wins.size(), false);
  std::vector<std::size_t> open{0};
  reached[0] = true;
  while (!open.empty()) {
    const std::size_t i = open.back();
    open.pop_back();
    for (std::size_t j = 0; j < wins.size(); ++j) {
      if (reached[j] || wins[i][j] + wins[j][i] == 0) continue;
      reached[j] = true;
      open.push_back(j);
    }
  }
  DIFFIT_CHECK(std::all_of(reached.begin(), reached.end(), [](bool r) { return r; }),
               "the answers do not connect all sets by comparisons yet; wait for more of them");
}

/// Probability that i is preferred to j.
double preferred(double i, double j) {
  return 1 / (1 + std::exp(j - i));
}

std::vector<double> maximum_likelihood(const Wins& wins) {
  const std::size_t n = wins.size();
  std::vector<double> strength(n, 1.0);
  for (int step = 0; step < 10000; ++step) {
    double moved = 0;
    std::vector<double> next(n);
    for (std::size_t i = 0; i < n; ++i) {
      double won = 0, shares = 0;
      for (std::size_t j = 0; j < n; ++j) {
        if (i == j) continue;
        won += wins[i][j];
        shares += (wins[i][j] + wins[j][i]) / (strength[i] + strength[j]);
      }
      next[i] = won / shares;
    }
    double mean = 0;
    for (const double s : next) mean += std::log(s) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      next[i] /= std::exp(mean);
      moved = std::max(moved, std::abs(std::log(next[i] / strength[i])));
    }
    strength = next;
    if (moved < 1e-12) break;
  }
  for (double& s : strength) s = std::log(s);
  return strength;
}

}  // namespace

Share wilson(std::int64_t count, std::int64_t of) {
  Share share{.count = count, .of = of};
  if (of == 0) return share;
  const auto n = static_cast<double>(of);
  const double p = static_cast<double>(count) / n, z2 = kNormal95 * kNormal95;
  const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kNormal95 / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  share.value = p;
  share.low = count == 0 ? 0 : centre - half;
  share.high = count == of ? 1 : centre + half;
  return share;
}

std::vector<Strength> bradley_terry(const std::vector<Wins>& raters) {
  DIFFIT_CHECK(!raters.empty() && raters[0].size() >= 2, "wanted answers about at least two sets");
  const std::size_t n = raters[0].size();
  Wins wins = zeros(n);
  for (const Wins& rater : raters) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) wins[i][j] += rater[i][j];
    }
  }
  check_connected(wins);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      if (wins[i][j] + wins[j][i] == 0) continue;
      wins[i][j] += 0.5;
      wins[j][i] += 0.5;
    }
  }
  const std::vector<double> theta = maximum_likelihood(wins);

  // Information plus 1 1^T / n, which fixes the mean: its inverse minus 1 1^T / n is the covariance.
  Matrix information = zeros(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      information[i][j] += 1 / static_cast<double>(n);
      if (i == j) continue;
      const double p = preferred(theta[i], theta[j]), w = (wins[i][j] + wins[j][i]) * p * (1 - p);
      information[i][i] += w;
      information[i][j] -= w;
    }
  }
  const Matrix covariance = inverse(information);
  Matrix grouped = zeros(n);  // sum over raters of the outer products of their scores
  for (const Wins& rater : raters) {
    std::vector<double> score(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        if (i != j) score[i] += rater[i][j] - (rater[i][j] + rater[j][i]) * preferred(theta[i], theta[j]);
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) grouped[i][j] += score[i] * score[j];
    }
  }
  const auto count = static_cast<double>(raters.size());
  std::vector<Strength> strengths;
  for (std::size_t i = 0; i < n; ++i) {
    double robust = 0;
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b < n; ++b) robust += covariance[i][a] * grouped[a][b] * covariance[b][i];
    }
    const double plain = covariance[i][i] - 1 / static_cast<double>(n);
    const double variance = std::max(plain, count > 1 ? robust * count / (count - 1) : 0);
    const double half = kNormal95 * std::sqrt(std::max(0.0, variance));
    strengths.push_back({theta[i], theta[i] - half, theta[i] + half});
  }
  return strengths;
}

}  // namespace diffit::server
