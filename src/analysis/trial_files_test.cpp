// Trainings in folders and in zips are found alike.
#include "analysis/trial_files.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/test_folder.h"

namespace diffit::analysis {
namespace {

using testing::TemporaryFolder;

const std::vector<std::string> kNames{"config.toml", "stats.jsonl", "scores.json"};

std::string content(const std::string& trial, const std::string& name) {
  return trial + " " + name + "\n";
}

void write_folder(const fs::path& runs, const std::string& trial,
                  const std::vector<std::string>& names = kNames) {
  fs::create_directories(runs / trial);
  for (const std::string& name : names) write_file(runs / trial / name, content(trial, name));
}

void write_zip(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& trials) {
  ZipWriter zip(path);
  for (const auto& [prefix, trial] : trials) {
    for (const std::string& name : kNames) {
      const std::string text = content(trial, name);
      zip.add(prefix + name, std::as_bytes(std::span(text)));
    }
  }
  zip.finish();
}

std::vector<std::string> configs(const std::vector<TrialFiles>& trials) {
  std::vector<std::string> texts;
  for (const TrialFiles& trial : trials) texts.push_back(trial.read("config.toml", 100));
  return texts;
}

TEST(TrialFiles, AreFoundInRunFoldersByName) {
  const TemporaryFolder folder;
  write_folder(folder.path() / "runs", "b-seed0");
  write_folder(folder.path() / "runs", "a-seed1");
  write_folder(folder.path() / "runs", "unfinished", {"config.toml", "stats.jsonl"});
  write_folder(folder.path() / "runs", "no-recipe", {"scores.json"});
  const std::vector<TrialFiles> found = finished_trials_of(folder.path());
  EXPECT_EQ(configs(found), (std::vector<std::string>{"a-seed1 config.toml\n", "b-seed0 config.toml\n"}));
  EXPECT_EQ(found[0].describe(), (folder.path() / "runs/a-seed1").string());
  EXPECT_EQ(found[0].where("scores.json"), (folder.path() / "runs/a-seed1/scores.json").string());
}

TEST(TrialFiles, AreFoundInAZipWhereverTheyLieInIt) {
  const TemporaryFolder folder;
  const fs::path zip = folder.path() / "records.zip";
  write_zip(zip, {{"runs/b-seed0/", "b"}, {"a-seed0/", "a"}});
  const std::vector<TrialFiles> found = finished_trials_of(zip);
  EXPECT_EQ(configs(found), (std::vector<std::string>{"a config.toml\n", "b config.toml\n"}));
  EXPECT_EQ(found[1].describe(), zip.string() + ": runs/b-seed0");
  EXPECT_EQ(found[1].where("x"), zip.string() + ": runs/b-seed0/x");
  EXPECT_TRUE(found[1].has("stats.jsonl"));
  EXPECT_FALSE(found[1].has("samples-000000096.png"));
}

TEST(TrialFiles, OfAFolderAreThoseOfItsZipToo) {
  const TemporaryFolder folder;
  write_folder(folder.path() / "runs", "a-seed0");
  write_zip(folder.path() / "runs.zip", {{"runs/b-seed0/", "b"}});
  EXPECT_EQ(configs(finished_trials_of(folder.path())),
            (std::vector<std::string>{"a-seed0 config.toml\n", "b config.toml\n"}));
  fs::remove_all(folder.path() / "runs");
  EXPECT_EQ(configs(finished_trials_of(folder.path())), std::vector<std::string>{"b config.toml\n"});
}

TEST(TrialFiles, OfOtherPathsAreNoneAndOfDamagedZipsAnError) {
  const TemporaryFolder folder;
  EXPECT_TRUE(finished_trials_of(folder.path()).empty());
  EXPECT_TRUE(finished_trials_of(folder.path() / "nowhere").empty());
  write_file(folder.path() / "runs.zip", "no archive");
  EXPECT_THROW(finished_trials_of(folder.path()), Error);
  EXPECT_THROW(finished_trials_of(folder.path() / "runs.zip"), Error);
}

TEST(TrialFiles, AreReadUpToALimit) {
  const TemporaryFolder folder;
  write_folder(folder.path() / "runs", "a");
  write_zip(folder.path() / "runs.zip", {{"b/", "b"}});
  for (const TrialFiles& trial : finished_trials_of(folder.path())) {
    EXPECT_EQ(trial.read("stats.jsonl", 100).substr(1), " stats.jsonl\n");
    EXPECT_THROW(trial.read("stats.jsonl", 3), Error) << trial.describe();
    try {
      trial.read("nothing", 100);
      ADD_FAILURE() << "what is not there was read";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(trial.where("nothing")), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace diffit::analysis
