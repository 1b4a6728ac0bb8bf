// What this process has taken of the machine.
#pragma once

#include <cstdint>

namespace diffit {

/// Bytes of memory that are resident now; 0 where the system does not tell.
std::uint64_t resident_bytes();

}  // namespace diffit
