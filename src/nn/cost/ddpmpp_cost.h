// Cost of DDPM++; used by cost.cpp.
#pragma once

#include "nn/cost/cost.h"

namespace diffit::nn {

/// Cost of each stage. The tokenizer, the embedders and the head are not included.
std::vector<PartCost> ddpmpp_cost(const ImageConfig& config);

}  // namespace diffit::nn
