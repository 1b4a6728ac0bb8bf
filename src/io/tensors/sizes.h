// What a packed size can hold at most: the check before memory is taken.
#pragma once

#include <cstdint>

#include "base/layers.h"

namespace diffit::io {

/// Deflate's best is 258 bytes out of 2 bits: 1032 to 1. The constant covers what is already buffered.
constexpr std::uint64_t largest_inflated(std::uint64_t packed) {
  return packed > (UINT64_MAX >> 11) ? UINT64_MAX : packed * 1032 + 4096;
}

}  // namespace diffit::io
