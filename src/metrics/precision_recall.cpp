#include "metrics/precision_recall.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "runtime/parallel.h"

namespace diffit::metrics {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t kChunk = 64;  // number of distances compared before branching

struct Set {
  at::Tensor features;  // [N, D] float32
  at::Tensor norms;     // [N] float32: |u|^2

  explicit Set(const at::Tensor& f)
      : features(f.to(at::kFloat).contiguous()), norms(features.square().sum(1)) {}
  std::int64_t size() const { return features.size(0); }
};

/// The k smallest squared distances of each image of a set, in ascending order: [N, k].
class Nearest {
 public:
  Nearest(std::int64_t count, std::int64_t k) : k_(k), values_(at::full({count, k}, kInfinity, at::kFloat)) {}

  float farthest(std::int64_t i) const { return row(i)[k_ - 1]; }
  void offer(std::int64_t i, float distance) {
    float* kept = row(i);
    if (!(distance < kept[k_ - 1])) return;
    std::int64_t at = k_ - 1;
    for (; at > 0 && distance < kept[at - 1]; --at) kept[at] = kept[at - 1];
    kept[at] = distance;
  }
  /// Returns the k-th smallest squared distances: [N].
  at::Tensor radii() const { return values_.select(1, k_ - 1).contiguous(); }

 private:
  float* row(std::int64_t i) const { return values_.data_ptr<float>() + i * k_; }

  std::int64_t k_;
  at::Tensor values_;
};

/// Squared distances between rows [i, i + R) of `a` and rows [j, j + C) of `b`.
class Block {
 public:
  Block(std::int64_t rows, std::int64_t columns, bool half)
      : half_(half), buffer_(at::empty({rows, columns}, at::kFloat)) {}

  void compute(const Set& a, std::int64_t i, std::int64_t rows, const Set& b, std::int64_t j,
               std::int64_t columns) {
    values_ = buffer_.flatten().narrow(0, 0, rows * columns).view({rows, columns});
    const at::Tensor u = a.features.narrow(0, i, rows), v = b.features.narrow(0, j, columns);
    if (half_ && compute_half(u, v)) return;
    const at::Tensor u2 = a.norms.narrow(0, i, rows), v2 = b.norms.narrow(0, j, columns);
    at::mm_out(values_, u, v.t());
    float* d = values_.mutable_data_ptr<float>();
    const float *row_norms = u2.const_data_ptr<float>(), *column_norms = v2.const_data_ptr<float>();
    runtime::parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        float* line = d + r * columns;
        for (std::int64_t c = 0; c < columns; ++c)
          line[c] = std::max(row_norms[r] - 2 * line[c] + column_norms[c], 0.0F);
      }
    });
  }

  const float* row(std::int64_t r) const { return values_.const_data_ptr<float>() + r * values_.size(1); }
  float* mutable_row(std::int64_t r) { return values_.mutable_data_ptr<float>() + r * values_.size(1); }

 private:
  /// Like ADM, rounds features, norms, products and each sum to float16. Returns false if a result is not
  /// finite.
  bool compute_half(const at::Tensor& u, const at::Tensor& v) {
    const at::Tensor uh = u.to(at::kHalf).to(at::kFloat), vh = v.to(at::kHalf).to(at::kFloat);
    const auto norms = [](const at::Tensor& x) {
      return x.square().to(at::kHalf).to(at::kFloat).sum(1).to(at::kHalf);
    };
    const at::Tensor product = uh.mm(vh.t()).to(at::kHalf);
    const at::Tensor d = (norms(uh).unsqueeze(1) - product * 2 + norms(vh)).clamp_min(0);
    if (!d.isfinite().all().item<bool>()) return false;
    values_.copy_(d);
    return true;
  }

  bool half_;
  at::Tensor buffer_, values_;
};

/// Block size. A product of this size runs at full speed and its result stays in the cache. With float16 it
/// is ADM's block size, because ADM chooses the precision for each block.
struct Sides {
  std::int64_t rows, columns;
};
Sides sides(bool half) {
  return half ? Sides{10000, 10000} : Sides{1024, 2048};
}

bool any_below(const float* distances, std::int64_t count, float bound) {
  int below = 0;
  for (std::int64_t c = 0; c < count; ++c) below |= static_cast<int>(distances[c] < bound);
  return below != 0;
}

/// Updates the nearest neighbors of images first_row + r with the distances in each row.
void offer_rows(const Block& block, std::int64_t rows, std::int64_t columns, std::int64_t first_row,
                Nearest& nearest) {
  runtime::parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* line = block.row(r);
      for (std::int64_t c = 0; c < columns; c += kChunk) {
        const std::int64_t count = std::min(kChunk, columns - c);
        if (!any_below(line + c, count, nearest.farthest(first_row + r))) continue;
        for (std::int64_t k = 0; k < count; ++k) nearest.offer(first_row + r, line[c + k]);
      }
    }
  });
}

/// Does the same for the columns: distances are symmetric, so blocks below the diagonal are not computed.
void offer_columns(const Block& block, std::int64_t rows, std::int64_t columns, std::int64_t first_column,
                   Nearest& nearest) {
  runtime::parallel_for(columns, kChunk, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> farthest(static_cast<std::size_t>(end - begin));
    for (std::int64_t c = begin; c < end; ++c)
      farthest[static_cast<std::size_t>(c - begin)] = nearest.farthest(first_column + c);
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* line = block.row(r) + begin;
      for (std::int64_t c = 0; c < end - begin; c += kChunk) {
        const std::int64_t count = std::min(kChunk, end - begin - c);
        int below = 0;
        for (std::int64_t k = c; k < c + count; ++k)
          below |= static_cast<int>(line[k] < farthest[static_cast<std::size_t>(k)]);
        if (below == 0) continue;
        for (std::int64_t k = c; k < c + count; ++k) {
          nearest.offer(first_column + begin + k, line[k]);
          farthest[static_cast<std::size_t>(k)] = nearest.farthest(first_column + begin + k);
        }
      }
    }
  });
}

using Tick = std::function<void(double products)>;

/// Squared distance of each image to its k-th nearest neighbor in the set: [N].
at::Tensor radii(const Set& set, std::int64_t k, bool half, const Tick& tick) {
  const auto [most_rows, most_columns] = sides(half);
  // The image itself, at distance 0, is counted as an additional neighbor.
  Nearest nearest(set.size(), k + 1);
  Block block(std::min(most_rows, set.size()), std::min(most_columns, set.size()), half);
  // Without float16, a column of blocks ends at the diagonal; the part below it follows by symmetry.
  for (std::int64_t j = 0; j < set.size(); j += most_columns) {
    const std::int64_t columns = std::min(most_columns, set.size() - j);
    for (std::int64_t i = 0; i < (half ? set.size() : j + columns); i += most_rows) {
      const std::int64_t rows = std::min(most_rows, set.size() - i);
      block.compute(set, i, rows, set, j, columns);
      if (!half) {
        for (std::int64_t r = std::max(i, j); r < std::min(i + rows, j + columns); ++r)
          block.mutable_row(r - i)[r - j] = 0;
      }
      offer_rows(block, rows, columns, i, nearest);
      if (!half && i + rows <= j) offer_columns(block, rows, columns, j, nearest);
      tick(static_cast<double>(rows) * static_cast<double>(columns));
    }
  }
  return nearest.radii();
}

void check(const at::Tensor& features, const char* whose, std::int64_t k) {
  if (features.dim() != 2) fail("precision and recall: wanted features [N, D]");
  DIFFIT_CHECK(features.size(0) > k, "precision and recall need more than {} {}, got {}", k, whose,
               features.size(0));
  if (!features.sum().isfinite().item<bool>()) fail("features of the {} are not finite", whose);
}

}  // namespace

PrecisionRecall precision_recall(const at::Tensor& samples, const at::Tensor& reference,
                                 const PrecisionRecallOptions& options) {
  check(samples, "samples", options.neighbours);
  check(reference, "reference images", options.neighbours);
  DIFFIT_CHECK(samples.size(1) == reference.size(1), "samples have {} features, the reference {}",
               samples.size(1), reference.size(1));
  const Set a(samples), b(reference);
  const auto area = [](const Set& x, const Set& y) {
    return static_cast<double>(x.size()) * static_cast<double>(y.size());
  };
  const double all = (options.half ? 1 : 0.5) * (area(a, a) + area(b, b)) + area(a, b);
  double done = 0;
  const Tick tick = [&](double products) {
    done += products;
    if (options.progress) options.progress(std::min(done / all, 1.0));
  };
  const at::Tensor a_radii = radii(a, options.neighbours, options.half, tick);
  const at::Tensor b_radii = radii(b, options.neighbours, options.half, tick);

  PrecisionRecall result;
  result.sample_inside = at::zeros({a.size()}, at::kBool);
  result.reference_inside = at::zeros({b.size()}, at::kBool);
  bool* sample_inside = result.sample_inside.data_ptr<bool>();
  bool* reference_inside = result.reference_inside.data_ptr<bool>();
  const float *sample_radii = a_radii.const_data_ptr<float>(),
              *reference_radii = b_radii.const_data_ptr<float>();
  const auto [most_rows, most_columns] = sides(options.half);
  Block block(std::min(most_rows, a.size()), std::min(most_columns, b.size()), options.half);
  for (std::int64_t i = 0; i < a.size(); i += most_rows) {
    const std::int64_t rows = std::min(most_rows, a.size() - i);
    for (std::int64_t j = 0; j < b.size(); j += most_columns) {
      const std::int64_t columns = std::min(most_columns, b.size() - j);
      block.compute(a, i, rows, b, j, columns);
      runtime::parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
          const float* line = block.row(r);
          int inside = 0;
          for (std::int64_t c = 0; c < columns; ++c)
            inside |= static_cast<int>(line[c] <= reference_radii[j + c]);
          if (inside != 0) sample_inside[i + r] = true;
        }
      });
      runtime::parallel_for(columns, kChunk, [&](std::int64_t begin, std::int64_t end) {
        std::vector<std::uint8_t> inside(static_cast<std::size_t>(end - begin));
        for (std::int64_t r = 0; r < rows; ++r) {
          const float* line = block.row(r) + begin;
          const float radius = sample_radii[i + r];
          for (std::size_t c = 0; c < inside.size(); ++c)
            inside[c] |= static_cast<std::uint8_t>(line[c] <= radius);
        }
        for (std::size_t c = 0; c < inside.size(); ++c) {
          if (inside[c] != 0) reference_inside[j + begin + static_cast<std::int64_t>(c)] = true;
        }
      });
      tick(static_cast<double>(rows) * static_cast<double>(columns));
    }
  }
  result.precision = result.sample_inside.to(at::kDouble).mean().item<double>();
  result.recall = result.reference_inside.to(at::kDouble).mean().item<double>();
  return result;
}

}  // namespace diffit::metrics
