// What is concluded from trainings, and from nothing else than they allow.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "analysis/ablation_results.h"
#include "base/error.h"

namespace diffit::analysis {
namespace {

/// A folder of finished trainings with given scores: [variant][seed].
class Finished {
 public:
  explicit Finished(const std::vector<std::vector<double>>& scores, double paper_h = 1.95,
                    double paper_g = 3.81) {
    folder_ = fs::temp_directory_path() / fmt::format("diffit-ablation-{}-{}", getpid(), ++made_);
    fs::remove_all(folder_);
    plan_.experiment.seeds.clear();
    for (std::size_t s = 0; s < scores.front().size(); ++s)
      plan_.experiment.seeds.push_back(static_cast<std::int64_t>(s));
    plan_.experiment.reference = "H";
    plan_.experiment.score.samples = 100;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      PlannedVariant v;
      v.section.name = v.section.label = v.section.row = i == 0 ? "H" : "G";
      v.section.published = i == 0 ? paper_h : paper_g;
      v.recipe.train.images = 1000;
      plan_.experiment.variants.push_back(v.section);
      plan_.variants.push_back(v);
      for (std::size_t s = 0; s < scores[i].size(); ++s) {
        const RunFolder run = trial_folder(folder_, v, static_cast<std::int64_t>(s));
        fs::create_directories(run.path());
        std::ofstream(run.snapshot(1000, "ema")) << "weights";
        std::ofstream(run.stats()) << R"({"images":500,"loss":0.9,"images_per_second":10,"memory_bytes":7})"
                                   << "\n"
                                   << R"({"images":900,"loss":0.4,"images_per_second":10,"memory_bytes":9})"
                                   << "\n"
                                   << R"({"images":1000,"loss":0.2,"images_per_second":20,"memory_bytes":8})"
                                   << "\n"
                                   << R"({"images":11)";  // being written when its process was killed
        const Score score{.images = 1000, .samples = 100, .value = scores[i][s], .low = 0, .high = 1};
        write_file(
            run.path() / "scores.json",
            Json{{"features", {{"identity", "x"}}}, {"steps", 18}, {"scores", {to_json(score)}}}.dump());
      }
    }
  }
  ~Finished() { fs::remove_all(folder_); }
  Finished(const Finished&) = delete;
  Finished& operator=(const Finished&) = delete;
  AblationResults results() const {
    const FeatureInfo info{.name = "Net", .identity = "x"};
    return collect(plan_, folder_, &info);
  }

 private:
  static inline int made_ = 0;
  fs::path folder_;
  Plan plan_;
};

TEST(Results, AreReadFromRunFolders) {
  const AblationResults results = Finished({{10, 12, 14}, {20, 21, 25}}).results();
  EXPECT_EQ(results.finished, 6);
  const VariantResult& g = results.variants[1];
  EXPECT_DOUBLE_EQ(g.score->mean, 22);
  EXPECT_DOUBLE_EQ(g.score_difference->mean, 10);  // 10, 9, 11
  EXPECT_NEAR(*g.score_difference->high - 10, 4.303 / std::sqrt(3.0), 1e-3);
  EXPECT_NEAR(*g.trials[0].late_loss, 0.3, 1e-12);  // of images beyond 800
  EXPECT_EQ(g.trials[0].memory_bytes, 9);
  EXPECT_EQ(g.trials[0].loss.size(), 3U);
}

TEST(Results, OrderVerdictFollowsInterval) {
  const auto verdict = [](const std::vector<std::vector<double>>& scores, double h = 1.95, double g = 3.81) {
    return Finished(scores, h, g).results().variants[1].verdict;
  };
  EXPECT_EQ(verdict({{10, 12, 14}, {20, 21, 25}}), Verdict::confirmed);
  EXPECT_EQ(verdict({{20, 21, 25}, {10, 12, 14}}), Verdict::refuted);
  EXPECT_EQ(verdict({{10, 12, 14}, {12, 11, 15}}), Verdict::noise);
  EXPECT_EQ(verdict({{10}, {20}}), Verdict::open) << "one seed says nothing about the spread";
  EXPECT_EQ(verdict({{10, 12}, {20, 22}}, 1.95, 0), Verdict::open) << "the paper has no figure";
}

TEST(SeedMean, IsStudents) {
  const SeedMean one = mean_over_seeds({3});
  EXPECT_EQ(one.mean, 3);
  EXPECT_FALSE(one.low.has_value());
  // 1, 2, 3, 4, 5: mean 3, standard error sqrt(2.5 / 5), t(4) = 2.776.
  const SeedMean five = mean_over_seeds({1, 2, 3, 4, 5});
  EXPECT_NEAR(*five.high, 3 + 2.776 * std::sqrt(0.5), 1e-3);
  EXPECT_NEAR(*five.low, 3 - 2.776 * std::sqrt(0.5), 1e-3);
}

}  // namespace
}  // namespace diffit::analysis
