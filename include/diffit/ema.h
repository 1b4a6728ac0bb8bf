// Moving averages of weights, reconstructed after training (EDM2 section 3.2).
#pragma once

#include <cstdint>
#include <string>

namespace diffit {

struct EmaSpec {
  std::string run;          // run folder with snapshots of power-function averages
  std::string out;          // the .safetensors model file to write
  double std = 0;           // relative width of the average: 0.001 to 0.28 of the length of the training
  std::int64_t images = 0;  // training images at which the average ends; 0: those of the last snapshot
};

struct EmaResult {
  std::int64_t images = 0;     // training images at which the average ends
  std::int64_t snapshots = 0;  // that were combined
  double profile_error = 0;    // L2 distance from the wanted averaging profile, relative to its norm
};

/// Throws Error: invalid for a wrong field, and for a folder without such averages or without any that early;
/// failed.
EmaResult reconstruct_ema(const EmaSpec& spec);

}  // namespace diffit
