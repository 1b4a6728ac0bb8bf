// What this process has taken of the machine.
#pragma once

#include <cstdint>

#include "base/layers.h"

namespace diffit::base {

/// Bytes of memory that are resident now; 0 where the system does not tell.
std::uint64_t resident_bytes();

}  // namespace diffit::base
