// Tests tables and pages of finished and unfinished experiments.
#include "report/ablation_page.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "report/render.h"

namespace diffit::report {
namespace {

TrialResult trial(std::int64_t seed, double score) {
  TrialResult t;
  t.seed = seed;
  t.images = 1000;
  t.finished = true;
  t.loss = {{500, 0.5}, {1000, 0.3}};
  t.late_loss = 0.3;
  for (const std::int64_t images : {500, 1000}) {
    Score s;
    s.images = images;
    s.samples = 100;
    s.value = images == 500 ? 2 * score : score;
    s.low = s.value - 1;
    s.high = s.value + 1;
    t.scores.push_back(s);
  }
  t.images_per_second = 10;
  t.memory_bytes = 1 << 20;
  t.seconds = 100;
  return t;
}

AblationResults two_variants(bool finished) {
  AblationResults results;
  results.experiment.title = "Where time enters";
  results.experiment.reference = std::string(1, 'H');
  results.score_label = "FD-Net";
  results.trials = 4;
  for (const char* name : {"H", "G"}) {
    VariantResult& v = results.variants.emplace_back();
    v.section.name = v.section.row = std::string(name, 1);
    v.section.label = fmt::format("variant {}", name);
    v.section.published = name[0] == 'H' ? 1.95 : 3.81;
    v.images = 1000;
    v.parameters = 139200;
    v.macs = 31e6;
    if (!finished) continue;
    const double score = name[0] == 'H' ? 10 : 12.25;
    v.trials = {trial(0, score - 0.5), trial(1, score + 0.5)};
    v.score = mean_over_seeds({score - 0.5, score + 0.5});
    v.images_per_second = 10;
    v.memory_bytes = 1 << 20;
    results.finished += 2;
  }
  if (finished) {
    results.variants[1].score_difference = mean_over_seeds({2.25, 2.25});
    results.variants[1].verdict = Verdict::confirmed;
  }
  return results;
}

TEST(AblationTable, HasPublishedColumnNextToOurs) {
  const Table table = ablation_table(two_variants(true));
  ASSERT_EQ(table.rows.size(), 2U);
  for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size());
  EXPECT_TRUE(table.columns[2].published);
  EXPECT_EQ(table.rows[1][2].text, "3.81");
  EXPECT_EQ(table.columns[3].head, "FD-Net");
  EXPECT_TRUE(table.rows[0][3].best);
  EXPECT_FALSE(table.rows[1][3].best);
  EXPECT_EQ(table.rows[1][4].text, "+2.25");
  EXPECT_EQ(table.rows[1][5].text, "confirmed");
  const Table costs = cost_table(two_variants(true));
  for (const auto& row : costs.rows) EXPECT_EQ(row.size(), costs.columns.size());
  EXPECT_EQ(costs.rows[1][5].text, "both");
}

TEST(AblationPage, ShowsCurvesCostsAndConfiguration) {
  const std::string page = render_page(ablation_page(two_variants(true), "diffit ablate times"));
  for (const char* part : {"Where time enters", "diffit ablate times", "Training loss",
                           "FD-Net while training", "FD-Net against GMAC per forward pass", "Pareto"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
}

TEST(AblationPage, ShowsSamplesAndReportsUnreadableOnes) {
  const testing::TemporaryFolder folder;
  AblationResults results = two_variants(true);
  const std::string bare = render_page(ablation_page(results, ""));
  EXPECT_EQ(bare.find("Samples"), std::string::npos);
  write_png(folder / "h.png", {4, 4, 1, std::vector<std::uint8_t>(16, 7)});
  results.variants[0].trials[1].samples = folder / "h.png";
  results.variants[1].trials[0].samples = folder.write("g.png", "no picture");
  const std::string page = render_page(ablation_page(results, ""));
  EXPECT_NE(page.find("Samples of variant H, training seed 1"), std::string::npos);
  EXPECT_EQ(page.find("Samples of variant G"), std::string::npos);
  EXPECT_NE(page.find("Not shown: "), std::string::npos);
}

TEST(AblationPage, RendersBeforeAnyTrialIsFinished) {
  const AblationResults results = two_variants(false);
  EXPECT_NE(render_page(ablation_page(results, "")).find("0 of 4 runs finished"), std::string::npos);
  EXPECT_NE(ablation_markdown(results).find("| G | variant G | 3.81 |"), std::string::npos);
}

}  // namespace
}  // namespace diffit::report
