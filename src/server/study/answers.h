// Answers of a study in SQLite: each is kept when it is given, whenever the process ends.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/lock.h"
#include "server/database.h"
#include "server/study/plan.h"

namespace diffit::server {

struct Answer {
  std::int64_t rater = 0, trial = 0;  // numbers of StudyPlan
  int side = 0;                       // that was chosen: 0 left, 1 right
  double seconds = 0;                 // from the question to the answer, as the page measured it
  double at = 0;                      // when it was kept, in seconds since 1970
};

/// answers.sqlite of a study. From any thread. Throws Error(failed) if it cannot be read or written.
class Answers {
 public:
  /// Error(invalid) if the answers there belong to another text of study.json: a plan is fixed before the
  /// first answer. `write`: take answers; only one process at a time may.
  Answers(const StudyPlan& plan, bool write);

  /// Keeps an answer. The first answer to a trial counts; false for a further one.
  bool add(const Answer& answer);
  /// All, by rater and trial.
  std::vector<Answer> all() const;
  /// Trials that a rater has answered.
  std::vector<bool> answered(std::int64_t rater) const;

 private:
  std::int64_t trials_;
  mutable std::mutex mutex_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Database> database_;
};

}  // namespace diffit::server
