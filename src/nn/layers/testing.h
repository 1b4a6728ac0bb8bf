// Test helper: compares the description of a network with its parameters.
#pragma once

#include <gtest/gtest.h>

#include "nn/layers/parameter_list.h"
#include "nn/layers/structure.h"

namespace diffit::nn {

/// Expects `structure` to list the names and sizes of all parameters except buffers, in order.
inline void expect_describes(const Structure& structure, const ParameterList& parameters) {
  std::vector<std::pair<std::string, std::int64_t>> described, listed;
  for (const LayerSpec& layer : structure.layers()) {
    for (auto& parameter : layer.parameters()) described.push_back(std::move(parameter));
  }
  for (const Parameter& p : parameters) {
    if (p.initializer != Initializer::buffer) listed.emplace_back(p.name, p.tensor.numel());
  }
  EXPECT_EQ(described, listed);
}

}  // namespace diffit::nn
