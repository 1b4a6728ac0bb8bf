#include "server/store.h"

#include <array>

#include "base/error.h"

namespace diffit::server {

namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS jobs(
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, spec TEXT NOT NULL,
  state TEXT NOT NULL, error TEXT NOT NULL, field TEXT NOT NULL, created REAL NOT NULL, started REAL,
  finished REAL, attempts INTEGER NOT NULL, result TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs(state);
CREATE TABLE IF NOT EXISTS images(
  id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, position INTEGER NOT NULL, model TEXT NOT NULL,
  seed INTEGER NOT NULL, label INTEGER, class TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
  channels INTEGER NOT NULL, settings TEXT NOT NULL, created REAL NOT NULL, png BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS images_by_job ON images(job);
CREATE TABLE IF NOT EXISTS tags(
  image INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE, tag TEXT NOT NULL, PRIMARY KEY(tag, image))
  WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tags_by_image ON tags(image);
CREATE TABLE IF NOT EXISTS steps(
  job TEXT NOT NULL, step INTEGER NOT NULL, position INTEGER NOT NULL, sigma REAL NOT NULL,
  noisy BLOB NOT NULL, estimate BLOB NOT NULL, state BLOB NOT NULL, shape TEXT NOT NULL,
  PRIMARY KEY(job, step, position)) WITHOUT ROWID;
PRAGMA user_version = 1;
)";

constexpr std::int64_t kVersion = 1;
constexpr std::array<std::string_view, 5> kStates = {"queued", "running", "done", "failed", "cancelled"};

constexpr const char* kJobColumns =
    "id, kind, spec, state, error, field, created, started, finished, attempts, result";
constexpr const char* kImageColumns =
    "id, job, position, model, seed, label, class, width, height, channels, settings, created";

JobState state_named(const std::string& name) {
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (kStates[i] == name) return static_cast<JobState>(i);
  }
  fail("the database holds a job with the unknown state '{}'", name);
}

std::optional<double> real_if_any(const Statement& row, int column) {
  if (row.is_null(column)) return {};
  return row.real(column);
}

JobRecord read_job(const Statement& row) {
  return {.id = row.text(0),
          .kind = row.text(1),
          .spec = parse_json(row.text(2), "jobs.spec"),
          .state = state_named(row.text(3)),
          .error = row.text(4),
          .field = row.text(5),
          .created = row.real(6),
          .started = real_if_any(row, 7),
          .finished = real_if_any(row, 8),
          .attempts = row.integer(9),
          .result = parse_json(row.text(10), "jobs.result")};
}

void write_job_state(Database& database, const JobRecord& job) {
  Statement(database,
            "UPDATE jobs SET state = ?, error = ?, field = ?, started = ?, finished = ?, attempts = ?, "
            "result = ? WHERE id = ?")
      .bind(name_of(job.state), job.error, job.field, job.started, job.finished, job.attempts,
            job.result.dump(), job.id)
      .run();
}

}  // namespace

std::string_view name_of(JobState state) {
  return kStates[static_cast<std::size_t>(state)];
}

Store::Store(const fs::path& folder) : folder_(folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("`data` {}: cannot be created: {}", folder.string(), error.message());
  lock_ = std::make_unique<FileLock>(FileLock::path_in(folder));
  DIFFIT_CHECK(!lock_->busy(), "`data` {}: another server is using this folder", folder.string());
  database_ = std::make_unique<Database>(folder / "gallery.sqlite");
  std::int64_t version = 0;
  {
    Statement row(*database_, "PRAGMA user_version");
    if (row.next()) version = row.integer(0);
  }
  DIFFIT_CHECK(version <= kVersion, "`data` {}: its gallery is of a newer version of this program",
               folder.string());
  database_->run(kSchema);
}

void Store::add_job(const JobRecord& job) {
  const std::lock_guard guard(mutex_);
  Statement(*database_,
            fmt::format("INSERT INTO jobs({}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kJobColumns))
      .bind(job.id, job.kind, job.spec.dump(), name_of(job.state), job.error, job.field, job.created,
            job.started, job.finished, job.attempts, job.result.dump())
      .run();
}

void Store::update_job(const JobRecord& job) {
  const std::lock_guard guard(mutex_);
  write_job_state(*database_, job);
}

std::optional<JobRecord> Store::job(const std::string& id) {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, fmt::format("SELECT {} FROM jobs WHERE id = ?", kJobColumns));
  if (!rows.bind(id).next()) return {};
  return read_job(rows);
}

std::vector<JobRecord> Store::jobs(std::int64_t limit) {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, fmt::format("SELECT {} FROM jobs ORDER BY number DESC LIMIT ?", kJobColumns));
  rows.bind(limit);
  std::vector<JobRecord> all;
  while (rows.next()) all.push_back(read_job(rows));
  return all;
}

std::vector<JobRecord> Store::unfinished_jobs() {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, fmt::format("SELECT {} FROM jobs WHERE state IN ('queued', 'running') "
                                         "ORDER BY number",
                                         kJobColumns));
  std::vector<JobRecord> all;
  while (rows.next()) all.push_back(read_job(rows));
  return all;
}

std::vector<std::int64_t> Store::finish_job(const JobRecord& job, const std::vector<ImageRecord>& images,
                                            const std::vector<StepRecord>& steps) {
  const std::lock_guard guard(mutex_);
  Transaction transaction(*database_);
  std::vector<std::int64_t> ids;
  Statement insert(*database_,
                   "INSERT INTO images(job, position, model, seed, label, class, width, height, channels, "
                   "settings, created, png) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const ImageRecord& i : images) {
    insert.bind(i.job, i.position, i.model, i.seed, i.label, i.class_name, i.width, i.height, i.channels,
                i.settings.dump(), i.created, i.png);
    insert.run();
    insert.reset();
    ids.push_back(database_->last_id());
  }
  Statement insert_step(*database_,
                        "INSERT OR REPLACE INTO steps(job, step, position, sigma, noisy, estimate, state, "
                        "shape) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  for (const StepRecord& s : steps) {
    insert_step.bind(job.id, s.step, s.position, s.sigma, s.noisy, s.estimate,
                     std::as_bytes(std::span(s.state)), Json(s.shape).dump());
    insert_step.run();
    insert_step.reset();
  }
  write_job_state(*database_, job);
  transaction.commit();
  return ids;
}

ImageRecord Store::read_image(const Statement& row) {
  ImageRecord image{.id = row.integer(0),
                    .job = row.text(1),
                    .position = row.integer(2),
                    .model = row.text(3),
                    .seed = row.integer(4),
                    .label = {},
                    .class_name = row.text(6),
                    .width = row.integer(7),
                    .height = row.integer(8),
                    .channels = row.integer(9),
                    .settings = parse_json(row.text(10), "images.settings"),
                    .created = row.real(11),
                    .tags = {},
                    .png = {}};
  if (!row.is_null(5)) image.label = row.integer(5);
  image.tags = tags_of(image.id);
  return image;
}

std::vector<std::string> Store::tags_of(std::int64_t id) {
  Statement rows(*database_, "SELECT tag FROM tags WHERE image = ? ORDER BY tag");
  rows.bind(id);
  std::vector<std::string> tags;
  while (rows.next()) tags.push_back(rows.text(0));
  return tags;
}

std::vector<ImageRecord> Store::images(const ImageQuery& query) {
  const std::lock_guard guard(mutex_);
  // Conditions that are not asked for are true of every row.
  Statement rows(
      *database_,
      fmt::format("SELECT {} FROM images WHERE (?1 IS NULL OR id < ?1) AND (?2 = '' OR model = ?2) "
                  "AND (?3 = '' OR job = ?3) AND (?4 IS NULL OR label = ?4) AND (?5 = '' OR id IN "
                  "(SELECT image FROM tags WHERE tag = ?5)) ORDER BY id DESC LIMIT ?6",
                  kImageColumns));
  rows.bind(query.before, query.model, query.job, query.label, query.tag, query.limit);
  std::vector<ImageRecord> all;
  while (rows.next()) all.push_back(read_image(rows));
  return all;
}

std::optional<ImageRecord> Store::image(std::int64_t id) {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, fmt::format("SELECT {} FROM images WHERE id = ?", kImageColumns));
  if (!rows.bind(id).next()) return {};
  return read_image(rows);
}

std::optional<std::string> Store::png(std::int64_t id) {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, "SELECT png FROM images WHERE id = ?");
  if (!rows.bind(id).next()) return {};
  return rows.bytes(0);
}

bool Store::remove_image(std::int64_t id) {
  const std::lock_guard guard(mutex_);
  Statement(*database_, "DELETE FROM images WHERE id = ?").bind(id).run();
  const bool removed = database_->changes() > 0;
  // States of a job none of whose images is left.
  if (removed) database_->run("DELETE FROM steps WHERE job NOT IN (SELECT job FROM images)");
  return removed;
}

bool Store::set_tags(std::int64_t id, const std::vector<std::string>& tags) {
  const std::lock_guard guard(mutex_);
  Transaction transaction(*database_);
  {
    Statement exists(*database_, "SELECT 1 FROM images WHERE id = ?");
    if (!exists.bind(id).next()) return false;
  }
  Statement(*database_, "DELETE FROM tags WHERE image = ?").bind(id).run();
  for (const std::string& tag : tags) {
    Statement(*database_, "INSERT OR IGNORE INTO tags(image, tag) VALUES(?, ?)").bind(id, tag).run();
  }
  transaction.commit();
  return true;
}

std::vector<std::pair<std::string, std::int64_t>> Store::tags() {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, "SELECT tag, COUNT(*) FROM tags GROUP BY tag ORDER BY tag");
  std::vector<std::pair<std::string, std::int64_t>> all;
  while (rows.next()) all.emplace_back(rows.text(0), rows.integer(1));
  return all;
}

std::int64_t Store::image_count() {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, "SELECT COUNT(*) FROM images");
  return rows.next() ? rows.integer(0) : 0;
}

std::vector<StepRecord> Store::steps(const std::string& job) {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_, "SELECT step, position, sigma FROM steps WHERE job = ? ORDER BY step, position");
  rows.bind(job);
  std::vector<StepRecord> all;
  while (rows.next()) {
    all.push_back({.step = rows.integer(0),
                   .position = rows.integer(1),
                   .sigma = rows.real(2),
                   .noisy = {},
                   .estimate = {},
                   .state = {},
                   .shape = {}});
  }
  return all;
}

std::optional<StepRecord> Store::step(const std::string& job, std::int64_t step, std::int64_t position) {
  const std::lock_guard guard(mutex_);
  Statement rows(*database_,
                 "SELECT sigma, noisy, estimate, state, shape FROM steps WHERE job = ? AND step = ? AND "
                 "position = ?");
  if (!rows.bind(job, step, position).next()) return {};
  StepRecord record{.step = step,
                    .position = position,
                    .sigma = rows.real(0),
                    .noisy = {},
                    .estimate = {},
                    .state = {},
                    .shape = parse_json(rows.text(4), "steps.shape").get<std::vector<std::int64_t>>()};
  const auto bytes = [&](int column) {
    const std::string text = rows.bytes(column);
    const auto span = std::as_bytes(std::span(text));
    return std::vector<std::byte>(span.begin(), span.end());
  };
  record.noisy = bytes(1);
  record.estimate = bytes(2);
  const std::string state = rows.bytes(3);
  record.state.resize(state.size() / sizeof(float));
  std::copy_n(state.data(), record.state.size() * sizeof(float),
              reinterpret_cast<char*>(record.state.data()));
  return record;
}

}  // namespace diffit::server
