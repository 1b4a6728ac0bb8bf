// What the server keeps: jobs, and the gallery of images with all that is needed to make each again.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/lock.h"
#include "server/database.h"
#include "server/http.h"

namespace diffit::server {

enum class JobState { queued, running, done, failed, cancelled };
std::string_view name_of(JobState state);

/// A job as it is kept.
struct JobRecord {
  std::string id = {}, kind = {};
  Json spec = Json::object();  // as asked for, with seeds and classes resolved
  JobState state = JobState::queued;
  std::string error = {}, field = {};  // of a failed job
  double created = 0;                  // seconds since 1970
  std::optional<double> started = {}, finished = {};
  std::int64_t attempts = 0;     // how often it was started
  Json result = Json::object();  // "seconds", "evaluations", "warnings"
};

/// An image of the gallery.
struct ImageRecord {
  std::int64_t id = 0;
  std::string job;
  std::int64_t position = 0;  // in the job
  std::string model;          // as the server names it
  std::int64_t seed = 0;
  std::optional<std::int64_t> label;
  std::string class_name;
  std::int64_t width = 0, height = 0, channels = 0;
  Json settings = Json::object();  // the fields of a specification that make this image again
  double created = 0;
  std::vector<std::string> tags;
  std::vector<std::byte> png;  // only when it is stored
};

/// An intermediate state of one image.
struct StepRecord {
  std::int64_t step = 0, position = 0;
  double sigma = 0;
  std::vector<std::byte> noisy = {}, estimate = {};  // PNG
  std::vector<float> state = {};                     // the noisy sample, not scaled
  std::vector<std::int64_t> shape = {};              // of `state`: [C, H, W]
};

struct ImageQuery {
  std::int64_t limit = 60;
  std::optional<std::int64_t> before = {};     // images with smaller ids
  std::string model = {}, tag = {}, job = {};  // empty: any
  std::optional<std::int64_t> label = {};
};

/// One folder, one database. Functions may be called from any thread. Error(failed) where the disk does not
/// do its part, and Error(invalid) if another process has the folder.
class Store {
 public:
  explicit Store(const fs::path& folder);

  void add_job(const JobRecord& job);
  /// State, times, attempts, error and result.
  void update_job(const JobRecord& job);
  std::optional<JobRecord> job(const std::string& id);
  /// Newest first.
  std::vector<JobRecord> jobs(std::int64_t limit);
  /// Jobs that were queued or running when the last process ended, oldest first.
  std::vector<JobRecord> unfinished_jobs();

  /// Adds the images and finishes the job, both or neither. Returns the ids of the images.
  std::vector<std::int64_t> finish_job(const JobRecord& job, const std::vector<ImageRecord>& images,
                                       const std::vector<StepRecord>& steps);

  std::vector<ImageRecord> images(const ImageQuery& query);
  std::optional<ImageRecord> image(std::int64_t id);
  std::optional<std::string> png(std::int64_t id);
  bool remove_image(std::int64_t id);
  /// false: no such image.
  bool set_tags(std::int64_t id, const std::vector<std::string>& tags);
  std::vector<std::pair<std::string, std::int64_t>> tags();
  std::int64_t image_count();

  /// Steps of a job's images, without pixels and state.
  std::vector<StepRecord> steps(const std::string& job);
  /// One of them, whole.
  std::optional<StepRecord> step(const std::string& job, std::int64_t step, std::int64_t position);

  const fs::path& folder() const { return folder_; }
  /// A sentence about a disk without locks, or "".
  std::string warning() const { return lock_->warning(); }

 private:
  std::vector<std::string> tags_of(std::int64_t id);
  ImageRecord read_image(const Statement& row);

  fs::path folder_;
  std::unique_ptr<FileLock> lock_;
  std::mutex mutex_;
  std::unique_ptr<Database> database_;
};

}  // namespace diffit::server
