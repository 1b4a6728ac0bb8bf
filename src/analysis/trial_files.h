// The files of one finished training of an experiment: in its run folder, or in a zip of records.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/archives/zip.h"
#include "train/run_folder.h"

namespace diffit::analysis {

class TrialFiles {
 public:
  TrialFiles(const RunFolder& folder);  // NOLINT(google-explicit-constructor): a run folder is one
  /// The entries of `archive` below `prefix`, which ends in '/' or is empty.
  TrialFiles(std::shared_ptr<const ZipReader> archive, std::string prefix);

  /// Of the file of that name, for messages: "runs/a/config.toml", "runs.zip: runs/a/config.toml".
  std::string where(const std::string& name) const;
  /// Of the whole training, for messages: "runs/a", "runs.zip: runs/a".
  std::string describe() const;
  bool has(const std::string& name) const;
  /// The content, at most `limit` bytes. Error(invalid) where it is not there or damaged.
  std::string read(const std::string& name, std::uint64_t limit) const;

 private:
  fs::path folder_;  // where there is no archive
  std::shared_ptr<const ZipReader> archive_;
  std::string prefix_;
};

/// Those of an experiment's folder or record, by path: runs/*/ and the trainings in runs.zip; or those of a
/// zip. A training is what has config.toml and scores.json. Empty where `path` is neither.
std::vector<TrialFiles> finished_trials_of(const fs::path& path);

}  // namespace diffit::analysis
