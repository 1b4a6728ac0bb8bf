// What a measurement of speed gives.
#pragma once

#include <string>

#include "config/fields.h"

namespace diffit::jobs {

struct BenchFigures {
  Json json;         // what `diffit bench --json` prints
  std::string text;  // for people
};

}  // namespace diffit::jobs
