// What DDPM++ costs, for cost.cpp.
#pragma once

#include "nn/cost.h"

namespace diffit {

/// Stage by stage, without tokenizer, time token and head.
std::vector<PartCost> ddpmpp_cost(const ImageConfig& config);

}  // namespace diffit
