// The blocks of DDPM++, as data.
#pragma once

#include <string>
#include <vector>

#include "nn/diffit/config.h"

namespace diffit::nn {

/// Description of one block of the U-Net.
struct UnetPart {
  enum class Resample { none, halve, twice };

  std::string name;  // "encoder.0.blocks.1", "encoder.1.down", "middle.0", "decoder.0.up"
  std::int64_t stage = 0, in = 0, out = 0;  // `in` and `out`: channels
  Resample resample = Resample::none;
  bool attends = false;
  bool decoder = false;
  bool joins = false;  // concatenates the most recent skip to its input; `in` counts both

  /// Whether the skip around the convolutions is a 1x1 convolution instead of the identity.
  bool has_skip() const { return in != out || resample != Resample::none; }
};
/// Returns the blocks in order of execution. The skips are the output of the tokenizer and the output of each
/// encoder block.
std::vector<UnetPart> ddpmpp_parts(const ImageConfig& config);

}  // namespace diffit::nn
