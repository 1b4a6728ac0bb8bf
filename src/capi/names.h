// Whose names this layer sees (base/layers.h).
#pragma once

#include "base/layers.h"

namespace diffit::capi {
using namespace jobs;
}
