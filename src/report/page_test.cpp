#include "report/page.h"

#include <gtest/gtest.h>

#include <limits>

namespace diffit::report {
namespace {

TEST(Number, ShowsIntervalIfBothEndsAreKnown) {
  const Cell cell = number(12.3456, 3, 11.9, 12.8);
  EXPECT_EQ(cell.text, "12.3");
  EXPECT_EQ(cell.interval, "[11.9, 12.8]");
  EXPECT_EQ(number(1, 3, 0.5).interval, "");
}

TEST(Slug, IsAlwaysSafeName) {
  EXPECT_EQ(slug("FD-FashionNet (test)"), "fd-fashionnet-test");
  EXPECT_EQ(slug("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(slug("<>"), "x");
  EXPECT_EQ(slug(""), "x");
  EXPECT_EQ(slug(std::string(1000, 'a')).size(), 80);
}

Table scores() {
  Table table;
  table.columns = {{"variant"}, {"FD"}, {"paper", true}};
  table.rows = {{words("TMSA|H"), number(3.2, 2, 3.0, 3.4), number(2.2, 3)},
                {words("MLP only"), number(2.9, 2), {}},
                {words("lost"), number(std::numeric_limits<double>::quiet_NaN()), {}}};
  return table;
}

TEST(MarkBest, MarksBestNumberAndIgnoresOthers) {
  Table table = scores();
  mark_best(table, 1, Better::lower);
  EXPECT_FALSE(table.rows[0][1].best);
  EXPECT_TRUE(table.rows[1][1].best);
  mark_best(table, 2, Better::higher);
  EXPECT_TRUE(table.rows[0][2].best);
}

TEST(ToMarkdown, AlignsNumbersAndEscapesBars) {
  Table table = scores();
  mark_best(table, 1, Better::lower);
  EXPECT_EQ(to_markdown(table),
            "| variant | FD | paper |\n"
            "| --- | ---: | ---: |\n"
            "| TMSA\\|H | 3.2 [3.0, 3.4] | 2.20 |\n"
            "| MLP only | **2.9** | – |\n"
            "| lost | not finite | – |\n");
}

}  // namespace
}  // namespace diffit::report
