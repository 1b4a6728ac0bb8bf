// What one attention layer does in one evaluation: measures of every head, the share of time in its inputs,
// and where a pixel looks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "nn/layers/observer.h"

namespace diffit::analysis {

/// Measures of every head, means over windows and queries of the first sample of a batch.
struct HeadMeasures {
  std::vector<double> entropy;    // of the attention of a query, in nats: 0 to ln(keys)
  std::vector<double> distance;   // from query to key weighted by attention, in pixels of the layer's map
  std::vector<double> agreement;  // 1 - total variation to another head, mean over these: 0 to 1
  std::vector<double> on_time;    // attention on the time token; 0 where it is none of the keys
};

/// Share of a quantity that the time token explains: <a - a_0, a> / <a, a>, with a the quantity as it is and
/// a_0 that for a time token of zeros and the same input of the layer. The shares of the token and of the
/// rest add up to 1; they are outside of 0 to 1 where the two work against each other. The token contains the
/// noise level and the class.
struct TimeShares {
  double q = 0, k = 0, v = 0;  // of all elements of the map
  /// Of the scores q k^T / sqrt(d) + bias before softmax, minus their mean over the keys of a query, which
  /// softmax ignores.
  double scores = 0;
};

/// The attention of one pixel.
struct PixelAttention {
  std::int64_t row = 0, column = 0;  // of the pixel, in the layer's map
  std::int64_t top = 0, left = 0;    // of its window
  at::Tensor attention = {};         // [heads, keys] float32 on the CPU; keys: the window row by row, then
                                     // the time token if there is one
};

/// Side of the (square) map of a layer, whose windows have side `window`.
std::int64_t map_side(const AttentionParts& parts, std::int64_t window);

HeadMeasures head_measures(const AttentionParts& parts, std::int64_t window);
TimeShares time_shares(const ObservedAttention& layer);
/// y, x: place in the map as shares of its height and width, 0 <= y, x < 1.
PixelAttention pixel_attention(const AttentionParts& parts, std::int64_t window, double y, double x);

/// The position bias by offset, [heads, 2w - 1, 2w - 1] float32 on the CPU: entry (w - 1 + dy, w - 1 + dx) is
/// that of a key dy rows below and dx columns right of the query.
at::Tensor bias_by_offset(const AttentionParts& parts, std::int64_t window);

}  // namespace diffit::analysis
