// Preferences from paired comparisons: Wilson's interval, and the model of Bradley and Terry.
#pragma once

#include <cstdint>
#include <vector>

#include "server/names.h"

namespace diffit::server {

/// A share of counts with its 95 % interval.
struct Share {
  std::int64_t count = 0, of = 0;
  double value = 0, low = 0, high = 1;  // value is 0 if `of` is 0
};

/// The score interval of Wilson (1927, "Probable inference, the law of succession, and statistical
/// inference").
Share wilson(std::int64_t count, std::int64_t of);

/// Answers of one rater: wins[i][j] is how often item i was preferred to item j.
using Wins = std::vector<std::vector<double>>;

/// A strength on the logit scale: item i is preferred to item j with probability 1 / (1 + exp(theta_j -
/// theta_i)). The mean of all strengths is 0.
struct Strength {
  double value = 0, low = 0, high = 0;  // 95 % interval
};

/// The model of Bradley and Terry (1952, "Rank analysis of incomplete block designs") by maximum likelihood,
/// by the algorithm of Hunter (2004, "MM algorithms for generalized Bradley-Terry models", eq. 3). Half a win
/// is added in each direction to every pair that was compared, so that strengths are finite also where one
/// item always wins. The standard error is the larger of that from the observed information and that from the
/// answers grouped by rater ("sandwich", with the factor R / (R - 1)), which contains differences between
/// raters.
///   raters: of each rater, the same number of items, at least 2
/// Throws Error(invalid) if the comparisons do not connect all items.
std::vector<Strength> bradley_terry(const std::vector<Wins>& raters);

}  // namespace diffit::server
