// Post-hoc EMA over the snapshots of a run folder (EDM2 section 3.2).
#pragma once

#include <cstdint>

#include "base/file.h"

namespace diffit {

struct PostHocResult {
  std::int64_t images = 0, snapshots = 0;
  double profile_error =
      0;  // L2 distance of the reconstructed profile from the wanted one, over the latter's norm
};

/// Sums the power-function averages in `run` up to the one of width `std` that ends at `images` (0: the last
/// snapshot), and writes it as a model file. Error(invalid) where there are none, or none that early.
PostHocResult reconstruct_ema(const fs::path& run, double std, std::int64_t images, const fs::path& out);

}  // namespace diffit
