// The queue of jobs, and the thread that does them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "diffit/runtime.h"
#include "server/sample_spec.h"
#include "server/store.h"

namespace diffit::server {

/// What happens to a job, in order. Ids count from 1.
struct Event {
  std::int64_t id = 0;
  std::string type;  // "state", "progress", "preview"
  Json data;
};

/// A job that is queued, runs, or ended not long ago.
struct LiveJob {
  JobRecord record;
  SampleJob sample;
  std::int64_t done = 0, total = 0;  // evaluations
  std::deque<Event> events;          // the newest ones
  std::int64_t last_event = 0;
  std::string preview;               // PNG of what the model expects, or ""
  std::vector<std::int64_t> images;  // ids, when it is done
  std::atomic<bool> cancel = false;

  bool ended() const { return record.state != JobState::queued && record.state != JobState::running; }
};

struct Counters {
  std::atomic<std::int64_t> submitted = 0, done = 0, failed = 0, cancelled = 0, refused = 0;
  std::atomic<std::int64_t> images = 0, evaluations = 0, batches = 0, merged = 0;
  std::atomic<double> seconds = 0;  // of sampling
};

class JobQueue {
 public:
  /// Jobs that the last process left are queued again. Call start() to work on them.
  JobQueue(Store& store, const Models& models, const Limits& limits, const RuntimeOptions& runtime);
  ~JobQueue();

  void start();
  /// No more jobs are taken; the running one is interrupted and stays queued in the store, as the waiting
  /// ones do. Returns when the thread has ended.
  void stop();

  /// Takes a sample job. HttpError: 400 for a wrong field, 503 if the queue is full or the server stops.
  std::string submit(const Json& spec);
  /// 404 if there is none; 409 if it has ended.
  void cancel(const std::string& id);
  /// As the API shows it: state, progress, results. 404 if there is none.
  Json describe(const std::string& id);
  /// The newest jobs.
  Json list(std::int64_t limit);
  std::string preview(const std::string& id);

  /// Waits until there are events after `after`, the job has ended, or `seconds` have passed. Sets `ended` if
  /// no event will follow. 404 if there is none.
  std::vector<Event> wait_events(const std::string& id, std::int64_t after, double seconds, bool& ended);
  /// Waits for the end of the job; false if `seconds` passed first or the server stops.
  bool wait(const std::string& id, double seconds);

  struct Size {
    std::int64_t queued = 0, running = 0;
  };
  Size size();
  const Counters& counters() const { return counters_; }
  bool stopping() const { return stopping_; }

 private:
  friend class GroupMonitor;
  using Group = std::vector<std::shared_ptr<LiveJob>>;

  std::shared_ptr<LiveJob> find(const std::string& id);
  void work();
  /// The next job, and those that can be made in its batch.
  Group next_group();
  void run(const Group& group);
  void finish(const Group& group, const SampleResult& result, std::vector<StepRecord> steps);
  void end(const std::shared_ptr<LiveJob>& job, JobState state, const std::string& error);
  void publish(LiveJob& job, const std::string& type, Json data);
  void publish_state(LiveJob& job);
  void forget_old();

  Store& store_;
  const Models& models_;
  const Limits limits_;
  const RuntimeOptions runtime_;
  Counters counters_;
  std::atomic<bool> stopping_ = false;

  std::mutex mutex_;  // of everything below, and of every LiveJob
  std::condition_variable changed_;
  std::deque<std::shared_ptr<LiveJob>> queue_;
  std::map<std::string, std::shared_ptr<LiveJob>> live_;
  std::deque<std::string> ended_;  // in live_, oldest first
  std::thread thread_;
};

/// Seconds since 1970.
double now();

}  // namespace diffit::server
