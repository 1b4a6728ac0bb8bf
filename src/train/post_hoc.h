// Post-hoc EMA from the snapshots of a run folder (EDM2 section 3.2).
#pragma once

#include <cstdint>

#include "base/file.h"

namespace diffit::training {

/// Result of a reconstruction.
struct PostHocResult {
  std::int64_t images = 0, snapshots = 0;
  /// L2 distance between the reconstructed and the wanted profile, relative to the norm of the latter.
  double profile_error = 0;
};

/// Combines the power-function averages in `run` to the average of width `std` that ends at `images` (0: the
/// last snapshot), and writes it as a model file. Throws Error(invalid) if there are no such averages, or
/// none that early.
PostHocResult reconstruct_ema(const fs::path& run, double std, std::int64_t images, const fs::path& out);

}  // namespace diffit::training
