// The measures on parts that are written by hand, and against plain loops.
#include "analysis/attention_view.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "nn/layers/init.h"

namespace diffit::analysis {
namespace {

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  Random random(seed, stream_of(Purpose::test));
  return normal_tensor(shape, random);
}

/// Two heads, a map of 4x4 pixels in windows of 2x2: [1, 4, 2, 4, 3].
AttentionParts random_parts(std::int64_t extra_keys = 0) {
  AttentionParts parts{normal({1, 4, 2, 4, 3}, 1),
                       normal({1, 4, 2, 4 + extra_keys, 3}, 2),
                       normal({1, 4, 2, 4 + extra_keys, 3}, 3),
                       {}};
  parts.bias = at::constant_pad_nd(position_bias(normal({9, 2}, 4), 2), {0, extra_keys});
  return parts;
}

/// softmax of one query by plain loops.
std::vector<double> row_of(const AttentionParts& p, std::int64_t window, std::int64_t head,
                           std::int64_t query) {
  const auto q = p.q[0][window][head][query], bias = p.bias[0][0][head][query];
  std::vector<double> row;
  double sum = 0;
  for (std::int64_t j = 0; j < p.k.size(3); ++j) {
    double score = 0;
    for (std::int64_t c = 0; c < 3; ++c)
      score += q[c].item<double>() * p.k[0][window][head][j][c].item<double>();
    row.push_back(std::exp(score / std::sqrt(3.0) + bias[j].item<double>()));
    sum += row.back();
  }
  for (double& a : row) a /= sum;
  return row;
}

TEST(AttentionView, MeasuresAgreeWithPlainLoops) {
  for (const std::int64_t extra : {0, 1}) {
    const AttentionParts parts = random_parts(extra);
    const HeadMeasures m = head_measures(parts, 2);
    for (std::int64_t h = 0; h < 2; ++h) {
      double entropy = 0, distance = 0, apart = 0, on_time = 0;
      for (std::int64_t w = 0; w < 4; ++w) {
        for (std::int64_t i = 0; i < 4; ++i) {
          const std::vector<double> a = row_of(parts, w, h, i), b = row_of(parts, w, 1 - h, i);
          double far = 0, pixels = 0;
          for (std::size_t j = 0; j < a.size(); ++j) {
            entropy -= a[j] * std::log(a[j]) / 16;
            apart += std::abs(a[j] - b[j]) / 32;
            if (j == 4) {
              on_time += a[j] / 16;
              continue;
            }
            const auto key = static_cast<std::int64_t>(j);
            far +=
                a[j] * std::hypot(static_cast<double>(i / 2 - key / 2), static_cast<double>(i % 2 - key % 2));
            pixels += a[j];
          }
          distance += far / pixels / 16;
        }
      }
      const auto head = static_cast<std::size_t>(h);
      EXPECT_NEAR(m.entropy[head], entropy, 1e-6);
      EXPECT_NEAR(m.distance[head], distance, 1e-6);
      EXPECT_NEAR(m.agreement[head], 1 - apart, 1e-6);
      EXPECT_NEAR(m.on_time[head], on_time, 1e-6);
      EXPECT_EQ(on_time > 0, extra > 0);
    }
  }
}

TEST(AttentionView, PixelIsFoundInItsWindow) {
  const AttentionParts parts = random_parts();
  EXPECT_EQ(map_side(parts, 2), 4);
  // Row 2, column 1 of 4x4 is query 1 of window 2.
  const PixelAttention pixel = pixel_attention(parts, 2, 0.5, 0.49);
  EXPECT_EQ(pixel.row, 2);
  EXPECT_EQ(pixel.column, 1);
  EXPECT_EQ(pixel.top, 2);
  EXPECT_EQ(pixel.left, 0);
  ASSERT_EQ(pixel.attention.sizes(), (std::vector<std::int64_t>{2, 4}));
  for (std::int64_t h = 0; h < 2; ++h) {
    const std::vector<double> row = row_of(parts, 2, h, 1);
    for (std::int64_t j = 0; j < 4; ++j)
      EXPECT_NEAR(pixel.attention[h][j].item<double>(), row[static_cast<std::size_t>(j)], 1e-6);
  }
}

TEST(AttentionView, BiasIsOrderedByOffsetFromTheQuery) {
  AttentionParts parts = random_parts();
  const at::Tensor table = bias_by_offset(parts, 2);
  ASSERT_EQ(table.sizes(), (std::vector<std::int64_t>{2, 3, 3}));
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      const std::int64_t dy = j / 2 - i / 2, dx = j % 2 - i % 2;
      EXPECT_EQ(table[1][1 + dy][1 + dx].item<float>(), parts.bias[0][0][1][i][j].item<float>());
    }
  }
}

TEST(AttentionView, SharesOfTimeAddUpAndIgnoreWhatSoftmaxIgnores) {
  const AttentionParts base = random_parts();
  const at::Tensor token = normal({1, 2, 3}, 9);  // one vector per head, like TMSA's projection
  // time adds `a` x token to q, `b` x token to k and `c` x token to v.
  const auto shares = [&](double a, double b, double c) {
    ObservedAttention layer{"test", 2, at::ones({1, 1}), {}};
    layer.parts = [&, a, b, c](const at::Tensor& time) {
      const at::Tensor t = token.reshape({1, 1, 2, 1, 3}) * time.reshape({1, 1, 1, 1, 1});
      return AttentionParts{base.q + a * t, base.k + b * t, base.v + c * t, base.bias};
    };
    return time_shares(layer);
  };
  const TimeShares none = shares(0, 0, 0);
  EXPECT_EQ(none.q, 0);
  EXPECT_EQ(none.scores, 0);
  // The same vector on all keys adds the same number to all scores of a query.
  const TimeShares keys = shares(0, 2, 1);
  EXPECT_EQ(keys.q, 0);
  EXPECT_NE(keys.k, 0);
  EXPECT_NE(keys.v, 0);
  EXPECT_NEAR(keys.scores, 0, 1e-5);
  const TimeShares queries = shares(1000, 0, 0);
  EXPECT_NEAR(queries.q, 1, 0.01);
  EXPECT_NEAR(queries.scores, 1, 0.05);
  // By hand: <q_t, q> / <q, q>.
  const at::Tensor time = token.reshape({1, 1, 2, 1, 3}).expand_as(base.q), q = base.q + time;
  EXPECT_NEAR(shares(1, 0, 0).q, ((time * q).sum() / q.square().sum()).item<double>(), 1e-6);
}

}  // namespace
}  // namespace diffit::analysis
