// Which weights of a file that holds more than one set of them.
#pragma once

#include <cstdint>

namespace diffit {

enum class Average : std::uint8_t {
  preferred,  // the average over training where there is one, as samplers want it; else the only weights
  wanted,     // the average; Error(invalid) where there is none
  refused,    // what was trained; Error(invalid) where there is only an average
};

}  // namespace diffit
