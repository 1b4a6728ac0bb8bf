#include "server/study/answers.h"

#include "base/error.h"

namespace diffit::server {

namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS plan(text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers(
  rater INTEGER NOT NULL, trial INTEGER NOT NULL, side INTEGER NOT NULL, seconds REAL NOT NULL, at REAL NOT NULL,
  PRIMARY KEY(rater, trial)) WITHOUT ROWID;
)";

}  // namespace

Answers::Answers(const StudyPlan& plan, bool write) : trials_(plan.trials_of_rater()) {
  if (write) {
    lock_ = std::make_unique<FileLock>(FileLock::path_in(plan.folder));
    DIFFIT_CHECK(!lock_->busy(), "{}: another process is taking answers of this study", plan.folder.string());
  }
  database_ = std::make_unique<Database>(plan.folder / "answers.sqlite");
  database_->run(kSchema);
  Transaction transaction(*database_);
  Statement kept(*database_, "SELECT text FROM plan");
  if (kept.next()) {
    DIFFIT_CHECK(kept.text(0) == plan.text,
                 "{}: study.json was changed after the study began; its answers belong to the plan as it was",
                 plan.folder.string());
    return;
  }
  Statement(*database_, "INSERT INTO plan(text) VALUES(?)").bind(plan.text).run();
  transaction.commit();
}

bool Answers::add(const Answer& answer) {
  const std::lock_guard guard(mutex_);
  Statement(*database_,
            "INSERT OR IGNORE INTO answers(rater, trial, side, seconds, at) VALUES(?, ?, ?, ?, ?)")
      .bind(answer.rater, answer.trial, answer.side, answer.seconds, answer.at)
      .run();
  return database_->changes() > 0;
}

std::vector<Answer> Answers::all() const {
  const std::lock_guard guard(mutex_);
  std::vector<Answer> found;
  Statement rows(*database_, "SELECT rater, trial, side, seconds, at FROM answers ORDER BY rater, trial");
  while (rows.next()) {
    found.push_back(
        {rows.integer(0), rows.integer(1), static_cast<int>(rows.integer(2)), rows.real(3), rows.real(4)});
  }
  return found;
}

std::vector<bool> Answers::answered(std::int64_t rater) const {
  const std::lock_guard guard(mutex_);
  std::vector<bool> found(static_cast<std::size_t>(trials_), false);
  Statement rows(*database_, "SELECT trial FROM answers WHERE rater = ?");
  rows.bind(rater);
  while (rows.next()) {
    if (const std::int64_t trial = rows.integer(0); trial >= 0 && trial < trials_)
      found[static_cast<std::size_t>(trial)] = true;
  }
  return found;
}

}  // namespace diffit::server
