// The names that this layer sees without qualification (base/layers.h).
#pragma once

#include "base/layers.h"

namespace diffit::server {
using namespace data;
using namespace plot;
}  // namespace diffit::server
