#include "report/run_record.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "report/run_costs.h"
#include "report/run_curves.h"
#include "report/run_page.h"

namespace diffit::report {
namespace {

class RunRecordTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "diffit-record-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path make(const std::string& name, const std::string& config, const std::string& stats) {
    const fs::path run = folder_ / name;
    fs::create_directories(run);
    write_file(run / "config.toml", config);
    write_file(run / "stats.jsonl", stats);
    return run;
  }

  fs::path folder_;
};

constexpr const char* kLine = R"({"images":10,"loss":0.5,"lr":0.001,"seconds":4.0,"memory_bytes":1024})";

TEST_F(RunRecordTest, KeepsCompleteLinesAndCountsOthers) {
  const RunRecord run =
      read_run(make("a", "[train]\nimages = 20\n",
                    std::string(kLine) + "\n\nnull\n{\"loss\":1}\n{\"images\":20,\"loss\":0.4}\n"
                                         "{\"images\":30,\"lo"));
  ASSERT_EQ(run.curves.at("loss").size(), 2);
  EXPECT_EQ(run.last("loss"), 0.4);
  EXPECT_EQ(run.last("nothing"), std::nullopt);
  EXPECT_EQ(run.images(), 20);
  ASSERT_EQ(run.notes.size(), 1);
  EXPECT_TRUE(run.notes[0].starts_with("3 lines of stats.jsonl")) << run.notes[0];
}

TEST_F(RunRecordTest, ReadsEvaluationsWithIntervalsInBothForms) {
  const RunRecord run = read_run(make(
      "a", "",
      std::string(kLine) + "\n" +
          R"({"images":10,"eval":{"fid":30,"fid_low":28,"fid_high":33,"is":{"value":2,"low":1,"high":3},)"
          R"("words":"x"},"eval_seconds":2})"
          "\n"));
  ASSERT_EQ(run.scores.size(), 2);
  EXPECT_EQ(run.scores.at("fid")[0].low, 28);
  EXPECT_EQ(run.scores.at("is")[0].high, 3);
  EXPECT_FALSE(run.curves.contains("eval_seconds")) << "what an evaluation took is no curve of the training";
}

TEST_F(RunRecordTest, FindsRunsInFolderAndGroupsSeeds) {
  make("runs/tmsa-seed0", "", kLine + std::string("\n"));
  make("runs/tmsa-seed1", "", kLine + std::string("\n"));
  make("runs/adaln-seed0", "", kLine + std::string("\n"));
  const std::vector<RunRecord> runs = read_runs(find_runs(folder_));
  ASSERT_EQ(runs.size(), 3);
  EXPECT_EQ(runs[0].name, "adaln-seed0");
  EXPECT_EQ(runs[1].group, "tmsa");
  const std::vector<LinePlot> plots = training_plots(runs);
  EXPECT_EQ(plots[0].series[1].style, plots[0].series[2].style) << "seeds of a variant look alike";
  EXPECT_NE(plots[0].series[0].style, plots[0].series[1].style);
}

TEST_F(RunRecordTest, RunsWithEqualNamesGetDistinctNames) {
  const fs::path one = make("x/run", "", kLine + std::string("\n")),
                 two = make("y/run", "", kLine + std::string("\n"));
  const std::vector<RunRecord> runs = read_runs({one, two, one});
  ASSERT_EQ(runs.size(), 2) << "the same folder twice is one run";
  EXPECT_EQ(runs[0].name, "x/run");
  EXPECT_EQ(runs[1].name, "y/run");
}

TEST_F(RunRecordTest, UsesNewestEmaSnapshot) {
  const fs::path run = make("a", "", kLine + std::string("\n"));
  for (const char* name : {"snapshot-000000009-ema.safetensors", "snapshot-000000100-ema.safetensors",
                           "snapshot-000000200.safetensors", "snapshot-000000300-ema-0.050.safetensors"}) {
    write_file(run / name, "x");
  }
  EXPECT_EQ(read_run(run).snapshot, run / "snapshot-000000100-ema.safetensors");
}

TEST_F(RunRecordTest, RejectsEmptyRun) {
  EXPECT_THROW(find_runs(folder_), Error);
  EXPECT_THROW(find_runs(folder_ / "nowhere"), Error);
  EXPECT_THROW(read_run(make("a", "", "\n")), Error);
}

TEST_F(RunRecordTest, ListsDifferingKeys) {
  const fs::path one =
      make("a", "[train]\nbatch = 8\nseed = 1\n[model]\nwindow = 4\n", kLine + std::string("\n"));
  const fs::path two = make("b", "[train]\nbatch = 8\nseed = 2\n", kLine + std::string("\n"));
  const Table table = differing_keys(read_runs({one, two}));
  ASSERT_EQ(table.rows.size(), 2);
  EXPECT_EQ(table.rows[0][0].text, "model.window");
  EXPECT_EQ(table.rows[0][1].text, "4");
  EXPECT_EQ(table.rows[0][2].text, "");
  EXPECT_EQ(table.rows[1][0].text, "train.seed");
}

TEST_F(RunRecordTest, MarksBetterScoreOfEachMetric) {
  const auto stats = [](double fid, double precision) {
    return fmt::format("{{\"images\":10,\"eval\":{{\"fid\":{},\"precision\":{}}}}}\n", fid, precision);
  };
  const fs::path one = make("a", "", stats(5, 0.3)), two = make("b", "", stats(6, 0.4));
  const Table table = scores_of_runs(read_runs({one, two}));
  ASSERT_EQ(table.rows.size(), 2);
  EXPECT_TRUE(table.rows[0][2].best);
  EXPECT_TRUE(table.rows[1][3].best);
}

}  // namespace
}  // namespace diffit::report
