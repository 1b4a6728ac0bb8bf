// Signs that samples are not a distribution: the same picture again, copies of training pictures, classes
// without variety. All of features [N, D] float32 on the CPU, rows in any order.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace diffit {

/// The nearest row of another set, or of the set itself (its own row not counted).
struct Neighbours {
  at::Tensor distance;  // [N] float64, Euclidean
  at::Tensor index;     // [N] int64, into the other set
};
Neighbours nearest_neighbours(const at::Tensor& of, const at::Tensor& in);
Neighbours nearest_neighbours(const at::Tensor& within);

/// A share of samples with the ends of its 95 % interval (Wilson 1927), and what real pictures give.
struct Share {
  double value = 0, low = 0, high = 0;
  double expected = 0;     // by construction, of pictures that are nothing but another draw
  double distance = 0;     // below which a picture counts
  at::Tensor counts = {};  // [N] bool
};

/// How large a share of real pictures is called a duplicate or a copy, by construction.
inline constexpr double kExpectedShare = 0.01;

/// Samples nearer to another sample than all but kExpectedShare of real pictures are to another real one.
/// Distances to the nearest fall with the size of a set: the larger set is cut to the size of the smaller.
Share near_duplicates(const at::Tensor& samples, const at::Tensor& real);

/// Samples nearer to a training picture than all but kExpectedShare of held-out pictures are to one.
Share copies(const at::Tensor& samples, const at::Tensor& training, const at::Tensor& held_out);

/// How far a class's samples lie apart, over how far its real pictures do.
struct ClassDiversity {
  std::int64_t label = 0, samples = 0;
  double ratio = 0, low = 0, high = 0;  // of the traces of covariances, with its 95 % interval
};

/// labels [N], [M] int64. Classes with fewer than two pictures on a side are left out.
std::vector<ClassDiversity> diversity(const at::Tensor& samples, const at::Tensor& sample_labels,
                                      const at::Tensor& real, const at::Tensor& real_labels);

}  // namespace diffit
