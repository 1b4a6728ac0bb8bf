// Indicators of collapse: duplicate samples, copies of training images, and classes without diversity. All
// features are [N, D] float32 on the CPU, with rows in any order.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/layers.h"

namespace diffit::analysis {

/// Nearest row in another set, or in the same set (not counting the row itself).
struct Neighbours {
  at::Tensor distance;  // [N] float64, Euclidean
  at::Tensor index;     // [N] int64, index into the other set
};
/// Throws Error(invalid) if the widths differ or there is no other row.
Neighbours nearest_neighbours(const at::Tensor& of, const at::Tensor& in);
/// The same within one set; a row is not its own neighbor.
Neighbours nearest_neighbours(const at::Tensor& within);

/// Fraction of samples with its 95 % confidence interval (Wilson 1927), and the fraction expected for real
/// images.
struct Share {
  double value = 0, low = 0, high = 0;
  double expected = 0;     // expected by construction for another draw of real images
  double distance = 0;     // distance below which an image counts
  at::Tensor counts = {};  // [N] bool
};

/// Fraction of real images that is classified as a duplicate or copy, by construction.
inline constexpr double kExpectedShare = 0.01;

/// Fraction of samples that are nearer to another sample than all but kExpectedShare of real images are to
/// another real image. Nearest distances decrease with the size of a set, so the larger set is cut to the
/// size of the smaller one.
Share near_duplicates(const at::Tensor& samples, const at::Tensor& real);

/// Fraction of samples that are nearer to a training image than all but kExpectedShare of held-out images
/// are.
Share copies(const at::Tensor& samples, const at::Tensor& training, const at::Tensor& held_out);

/// Spread of the samples of a class relative to the spread of its real images.
struct ClassDiversity {
  std::int64_t label = 0, samples = 0;
  /// Ratio of the traces of covariance, with its 95 % confidence interval.
  double ratio = 0, low = 0, high = 0;
};

/// labels [N], [M] int64. Classes with fewer than two images in either set are omitted.
std::vector<ClassDiversity> diversity(const at::Tensor& samples, const at::Tensor& sample_labels,
                                      const at::Tensor& real, const at::Tensor& real_labels);

}  // namespace diffit::analysis
