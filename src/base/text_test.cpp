#include "base/text.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace diffit::base {
namespace {

TEST(Text, NearestNameIsFoundOrNone) {
  const std::vector<std::string> known{"train.lr", "train.images", "seed"};
  EXPECT_EQ(nearest("train.imgaes", known), "train.images");
  EXPECT_EQ(nearest("sed", known), "seed");
  EXPECT_EQ(nearest("quite_another_thing", known), "");
}

TEST(Text, NumbersForPeople) {
  EXPECT_EQ(human_count(561300000), "561.3 M");
  EXPECT_EQ(human_count(7), "7");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_seconds(59.94), "59.9s");
  EXPECT_EQ(human_seconds(7500), "2h 05m");
}

TEST(Text, ParsesNumbersCompletely) {
  EXPECT_EQ(parse_int(" 12 ", "n"), 12);
  EXPECT_EQ(parse_double("1e-3", "lr"), 1e-3);
  for (const char* bad : {"", "1x", "x", "1 2", "99999999999999999999"})
    EXPECT_THROW(parse_int(bad, "n"), Error);
  for (const char* bad : {"", "nan", "inf", "1e999", "1,5"}) EXPECT_THROW(parse_double(bad, "x"), Error);
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
}

}  // namespace
}  // namespace diffit::base
