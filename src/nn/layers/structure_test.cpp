#include "nn/layers/structure.h"

#include <gtest/gtest.h>

namespace diffit::nn {
namespace {

TEST(Structure, CostsAreSummedByPart) {
  Structure s;
  s.part("head");
  s.part("body");
  s.convolution("conv", 2, 5, 3, 16);
  s.scope("attn", [](Structure& inner) {
    inner.linear("q", 4, 6, 10, /*bias=*/false);
    inner.attention("mix", 4, 10, 7);
  });
  s.part("head");
  s.norm("norm", 3, 16);
  s.table("table", 11);
  s.elementwise("gelu", 2, 8);
  s.part("body");
  s.linear("fc", 3, 2, 1);

  const std::vector<PartCost> costs = cost_of(s);
  ASSERT_EQ(costs.size(), 2U);
  EXPECT_EQ(costs[0].part, "head");
  EXPECT_EQ(costs[0].parameters, 6 + 11);
  EXPECT_EQ(costs[0].layer_macs, 0);
  EXPECT_EQ(costs[0].activations, 3 * 16 + 2 * 8);
  EXPECT_EQ(costs[1].part, "body");
  EXPECT_EQ(costs[1].parameters, (2 * 5 * 9 + 5) + 4 * 6 + (3 * 2 + 2));
  EXPECT_EQ(costs[1].layer_macs, 2 * 5 * 9 * 16 + 4 * 6 * 10 + 6);
  EXPECT_EQ(costs[1].attention_macs, 2 * 4 * 10 * 7);
  EXPECT_EQ(costs[1].activations, 5 * 16 + 6 * 10 + 2);
  EXPECT_EQ(total(costs).parameters, costs[0].parameters + costs[1].parameters);
  EXPECT_EQ(s.layers()[1].name, "attn.q");
  EXPECT_EQ(s.layers().back().name, "fc");
}

TEST(Structure, LayersListParametersByName) {
  Structure s;
  s.linear("fc", 3, 2, 1);
  s.linear("plain", 3, 2, 1, /*bias=*/false);
  s.table("table", 7);
  s.attention("mix", 4, 10, 7);
  using Parameters = std::vector<std::pair<std::string, std::int64_t>>;
  EXPECT_EQ(s.layers()[0].parameters(), (Parameters{{"fc.weight", 6}, {"fc.bias", 2}}));
  EXPECT_EQ(s.layers()[1].parameters(), (Parameters{{"plain.weight", 6}}));
  EXPECT_EQ(s.layers()[2].parameters(), (Parameters{{"table", 7}}));
  EXPECT_TRUE(s.layers()[3].parameters().empty());
}

}  // namespace
}  // namespace diffit::nn
