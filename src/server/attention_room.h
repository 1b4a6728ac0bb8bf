// Models that are open for looking at their attention, and the thread that does so.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "diffit/attention.h"
#include "server/models.h"
#include "server/sample_spec.h"

namespace diffit::server {

/// A snapshot of a training, whose attention can be looked at like that of a served model.
struct SnapshotModel {
  std::string name;         // in requests: "runs/RUN/FILE"
  std::string run;          // name of the run's folder
  std::string weights;      // "": the raw weights; "ema", "ema-0.050": an average
  std::int64_t images = 0;  // of the training so far
};

/// Requests run one after another in one thread of its own, beside the queue of jobs.
class AttentionRoom {
 public:
  /// runs: the folder that holds run folders; need not exist
  AttentionRoom(const Models& models, const fs::path& runs, const Limits& limits,
                const RuntimeOptions& runtime);
  ~AttentionRoom();
  AttentionRoom(const AttentionRoom&) = delete;
  AttentionRoom& operator=(const AttentionRoom&) = delete;

  /// Snapshots of the trainings, by run, weights and number of images.
  std::vector<SnapshotModel> snapshots() const;
  /// A served model, or a snapshot, by its name in requests. HttpError 400 with the field `model`.
  ServedModel find(const std::string& name) const;

  /// Calls `work` with the open model in the thread, and waits. HttpError: 503 if too many requests wait or
  /// the server stops, 504 after Limits::wait seconds; errors of the library as as_http_error().
  using Work = std::function<Json(const AttentionModel& model, Monitor& monitor)>;
  Json run(const ServedModel& model, const Work& work);
  /// Requests that wait or run are cancelled.
  void stop();

 private:
  void serve();
  const AttentionModel& opened(const std::string& path);

  const Models& models_;
  const fs::path runs_;
  const Limits& limits_;
  const RuntimeOptions runtime_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;  // of queue_
  std::condition_variable changed_;
  std::deque<std::shared_ptr<std::packaged_task<Json()>>> queue_;
  std::deque<std::pair<std::string, AttentionModel>> open_;  // of the thread; the newest last
  std::thread thread_;
};

}  // namespace diffit::server
