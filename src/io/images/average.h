// Selection of the weights to read from a file that contains several sets of weights.
#pragma once

#include <cstdint>

#include "base/layers.h"

namespace diffit::io {

enum class Average : std::uint8_t {
  preferred,  // the averaged weights if there are any, as samplers want them; otherwise the only weights
  wanted,     // the averaged weights; Error(invalid) if there are none
  refused,    // the trained weights; Error(invalid) if there are only averaged ones
};

}  // namespace diffit::io
