// Corruption of images in known ways, as inputs on which a model was not trained.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/layers.h"

namespace diffit::analysis {

/// Kind of corruption with severity 1, 2 or 3 (docs/metrics.md):
///   blur        Gaussian with a standard deviation of R / 64, R / 32, R / 16 pixels
///   noise       Gaussian with a standard deviation of 8, 24, 64 levels
///   contrast    differences from the mean of the image times 0.75, 0.5, 0.25
///   occlusion   a black square of 1/4, 3/8, 1/2 of the side at a random position
///   inversion   255 - x; severity 1 only
struct Corruption {
  enum class Kind { blur, noise, contrast, occlusion, inversion };
  Kind kind = Kind::blur;
  int severity = 1;

  std::string name() const;  // "blur 2"; "inversion"
};

/// Returns all corruptions, ordered by kind and severity.
std::vector<Corruption> all_corruptions();

/// images [N, R, R, C] uint8 -> corrupted images of the same shape and dtype. Image i uses the random
/// stream of (seed, first + i).
at::Tensor corrupted(const at::Tensor& images, const Corruption& corruption, std::uint64_t seed,
                     std::int64_t first);

}  // namespace diffit::analysis
