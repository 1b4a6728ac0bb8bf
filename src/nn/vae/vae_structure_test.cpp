#include "nn/vae/vae_structure.h"

#include <gtest/gtest.h>

#include "nn/layers/testing.h"
#include "nn/vae/vae.h"

namespace diffit::nn {
namespace {

TEST(VaeCost, ParameterCountMatchesNetwork) {
  for (const VaeConfig& config :
       {VaeConfig{},
        VaeConfig{.in_channels = 1, .latent_channels = 3, .channels = {8}, .blocks = 1, .norm_groups = 4},
        VaeConfig{
            .in_channels = 3, .latent_channels = 4, .channels = {8, 8, 16}, .blocks = 3, .norm_groups = 8}}) {
    EXPECT_EQ(total(cost_of(config, 32)).parameters, parameter_count(config));
    expect_describes(describe(config, 32), Vae(config).parameters());
  }
}

TEST(VaeCost, CostScalesWithPixels) {
  const PartCost small = total(cost_of(VaeConfig{}, 256)), large = total(cost_of(VaeConfig{}, 512));
  EXPECT_DOUBLE_EQ(large.layer_macs, 4 * small.layer_macs);
  EXPECT_DOUBLE_EQ(large.attention_macs, 16 * small.attention_macs);
  EXPECT_DOUBLE_EQ(large.activations, 4 * small.activations);
}

}  // namespace
}  // namespace diffit::nn
