#include "data/portion.h"

#include <gtest/gtest.h>

#include <set>

namespace diffit::data {
namespace {

TEST(Portion, TheDefaultReadsEveryImageInOrder) {
  for (std::int64_t k = 0; k < 10; ++k) EXPECT_EQ(Portion{}.image(40, k), 40 + k);
}

TEST(Portion, PortionsOfABatchReadEveryImageOnce) {
  std::multiset<std::int64_t> read;
  const Portion portions[] = {{0, 3, 8}, {3, 2, 8}, {5, 3, 8}};
  for (const Portion& portion : portions) {
    for (std::int64_t k = 0; k < 4 * portion.count; ++k) read.insert(portion.image(16, k));
  }
  ASSERT_EQ(read.size(), 32U);
  std::int64_t next = 16;
  for (const std::int64_t image : read) EXPECT_EQ(image, next++);
}

TEST(Portion, GoesOnFromBatchToBatch) {
  const Portion portion{4, 2, 8};
  EXPECT_EQ(portion.image(0, 0), 4);
  EXPECT_EQ(portion.image(0, 1), 5);
  EXPECT_EQ(portion.image(0, 2), 12);
  EXPECT_EQ(portion.image(8, 2), 20);
}

}  // namespace
}  // namespace diffit::data
