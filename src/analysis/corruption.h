// Pictures made worse in known ways: inputs that a model was not trained on.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace diffit {

/// severity 1, 2 or 3; what each means is in docs/metrics.md.
///   blur        Gaussian, of deviation R / 64, R / 32, R / 16 pixels
///   noise       Gaussian, of deviation 8, 24, 64 levels
///   contrast    distances from the picture's mean times 0.75, 0.5, 0.25
///   occlusion   a square of a quarter, three eighths, half of the side, black, at a random place
///   inversion   255 - x; one severity
struct Corruption {
  enum class Kind { blur, noise, contrast, occlusion, inversion };
  Kind kind = Kind::blur;
  int severity = 1;

  std::string name() const;  // "blur 2"; "inversion"
};

/// All of them, by kind and severity.
std::vector<Corruption> all_corruptions();

/// pictures [N, R, R, C] uint8 -> the same, made worse; picture i by random numbers of (seed, first + i).
at::Tensor corrupted(const at::Tensor& pictures, const Corruption& corruption, std::uint64_t seed,
                     std::int64_t first);

}  // namespace diffit
