#include "server/jobs.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "server/access.h"
#include "server/run_sample.h"

namespace diffit::server {

namespace {

constexpr std::size_t kKeptEvents = 256;     // of a job
constexpr std::size_t kKeptJobs = 200;       // that have ended, in memory
constexpr std::ptrdiff_t kKeptPreviews = 8;  // of jobs that have ended
constexpr std::int64_t kMostAttempts = 3;
constexpr std::int64_t kGroupImages = 64;  // of jobs that are made together

Json job_json(const JobRecord& record) {
  Json out = {{"id", record.id},
              {"kind", record.kind},
              {"state", name_of(record.state)},
              {"spec", record.spec},
              {"created", record.created},
              {"started", record.started ? Json(*record.started) : Json()},
              {"finished", record.finished ? Json(*record.finished) : Json()}};
  if (record.state == JobState::failed) {
    out["error"] = {{"detail", record.error}};
    if (!record.field.empty()) out["error"]["field"] = record.field;
  }
  if (!record.result.empty()) out["result"] = record.result;
  return out;
}

Json progress_json(const LiveJob& job) {
  return {{"done", job.done}, {"total", job.total}, {"unit", "evaluations"}};
}

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

JobQueue::JobQueue(Store& store, const Models& models, const Limits& limits, const RuntimeOptions& runtime)
    : store_(store), models_(models), limits_(limits), runtime_(runtime) {
  for (JobRecord& record : store_.unfinished_jobs()) {
    auto job = std::make_shared<LiveJob>();
    job->record = std::move(record);
    std::string problem;
    if (job->record.attempts >= kMostAttempts) {
      problem = fmt::format("the server ended {} times while it ran this job", job->record.attempts);
    } else {
      try {
        job->sample = read_sample_job(job->record.spec, models_, limits_);
      } catch (const HttpError& error) {  // a model that is no longer served, for example
        problem = error.what();
      }
    }
    live_[job->record.id] = job;
    if (problem.empty()) {
      job->record.state = JobState::queued;
      queue_.push_back(job);
    } else {
      end(job, JobState::failed, problem);
    }
  }
}

JobQueue::~JobQueue() {
  stop();
}

void JobQueue::start() {
  thread_ = std::thread([this] { work(); });
}

void JobQueue::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string JobQueue::submit(const Json& spec) {
  auto job = std::make_shared<LiveJob>();
  job->sample = read_sample_job(spec, models_, limits_);
  check_sample_job(job->sample, store_);
  job->record = {
      .id = random_token().substr(0, 16), .kind = "sample", .spec = to_json(job->sample), .created = now()};
  const std::lock_guard guard(mutex_);
  if (stopping_) throw HttpError(503, "the server is stopping");
  if (static_cast<std::int64_t>(queue_.size()) >= limits_.queue) {
    ++counters_.refused;
    throw HttpError(503, fmt::format("{} jobs are waiting, the most that this server keeps; try again later",
                                     queue_.size()));
  }
  store_.add_job(job->record);
  live_[job->record.id] = job;
  queue_.push_back(job);
  ++counters_.submitted;
  publish_state(*job);
  return job->record.id;
}

std::shared_ptr<LiveJob> JobQueue::find(const std::string& id) {
  const auto found = live_.find(id);
  return found == live_.end() ? nullptr : found->second;
}

void JobQueue::cancel(const std::string& id) {
  std::shared_ptr<LiveJob> job;
  {
    const std::lock_guard guard(mutex_);
    job = find(id);
    if (job != nullptr && !job->ended()) {
      job->cancel = true;
      const auto place = std::find(queue_.begin(), queue_.end(), job);
      if (place == queue_.end()) return;  // it runs: its monitor sees the flag
      queue_.erase(place);
    } else if (job != nullptr) {
      throw HttpError(409, fmt::format("job {} is {}", id, name_of(job->record.state)));
    }
  }
  if (job == nullptr) {
    const std::optional<JobRecord> kept = store_.job(id);
    if (!kept) throw HttpError(404, fmt::format("there is no job {}", id));
    throw HttpError(409, fmt::format("job {} is {}", id, name_of(kept->state)));
  }
  end(job, JobState::cancelled, "");
}

Json JobQueue::describe(const std::string& id) {
  {
    const std::lock_guard guard(mutex_);
    if (const auto job = find(id)) {
      Json out = job_json(job->record);
      out["progress"] = progress_json(*job);
      out["preview"] =
          !job->preview.empty() && !job->ended() ? Json("/api/v1/jobs/" + id + "/preview") : Json();
      out["images"] = job->images;
      if (job->record.state == JobState::queued) {
        out["ahead"] = std::find(queue_.begin(), queue_.end(), job) - queue_.begin();
      }
      return out;
    }
  }
  const std::optional<JobRecord> kept = store_.job(id);
  if (!kept) throw HttpError(404, fmt::format("there is no job {}", id));
  Json out = job_json(*kept);
  out["progress"] = Json();
  out["preview"] = Json();
  std::vector<std::int64_t> images;
  for (const ImageRecord& image : store_.images({.limit = limits_.images, .job = id})) {
    images.insert(images.begin(), image.id);
  }
  out["images"] = images;
  return out;
}

Json JobQueue::list(std::int64_t limit) {
  Json jobs = Json::array();
  for (const JobRecord& record : store_.jobs(limit)) {
    Json& out = jobs.emplace_back(job_json(record));
    const std::lock_guard guard(mutex_);
    if (const auto job = find(record.id)) out["progress"] = progress_json(*job);
  }
  return {{"jobs", jobs}};
}

std::string JobQueue::preview(const std::string& id) {
  const std::lock_guard guard(mutex_);
  const auto job = find(id);
  if (job == nullptr || job->preview.empty()) {
    throw HttpError(404, fmt::format("job {} has no preview", id));
  }
  return job->preview;
}

std::vector<Event> JobQueue::wait_events(const std::string& id, std::int64_t after, double seconds,
                                         bool& ended) {
  std::unique_lock lock(mutex_);
  const auto job = find(id);
  if (job == nullptr) {
    ended = true;
    lock.unlock();
    const Json kept = describe(id);
    return {{1, "state", kept}};
  }
  changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                    [&] { return job->last_event > after || job->ended() || stopping_; });
  std::vector<Event> events;
  for (const Event& event : job->events) {
    if (event.id > after) events.push_back(event);
  }
  ended = job->ended() || stopping_;
  return events;
}

bool JobQueue::wait(const std::string& id, double seconds) {
  std::unique_lock lock(mutex_);
  const auto job = find(id);
  if (job == nullptr) return true;
  changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return job->ended() || stopping_; });
  return job->ended();
}

JobQueue::Size JobQueue::size() {
  const std::lock_guard guard(mutex_);
  Size size;
  size.queued = static_cast<std::int64_t>(queue_.size());
  for (const auto& [id, job] : live_) size.running += job->record.state == JobState::running ? 1 : 0;
  return size;
}

void JobQueue::publish(LiveJob& job, const std::string& type, Json data) {
  job.events.push_back({++job.last_event, type, std::move(data)});
  if (job.events.size() > kKeptEvents) job.events.pop_front();
  changed_.notify_all();
}

void JobQueue::publish_state(LiveJob& job) {
  Json data = job_json(job.record);
  data["images"] = job.images;
  publish(job, "state", std::move(data));
}

void JobQueue::end(const std::shared_ptr<LiveJob>& job, JobState state, const std::string& error) {
  const std::lock_guard guard(mutex_);
  job->record.state = state;
  job->record.error = error;
  job->record.field = field_in(error);
  job->record.finished = now();
  ++(state == JobState::failed ? counters_.failed : counters_.cancelled);
  try {
    store_.update_job(job->record);
  } catch (const Error& problem) {  // a full disk: the job has ended all the same
    job->record.error += (error.empty() ? "" : "; ") + std::string(problem.what());
  }
  ended_.push_back(job->record.id);
  publish_state(*job);
  forget_old();
}

void JobQueue::forget_old() {
  // A page may still ask for the preview of a job that has just ended.
  if (std::ssize(ended_) > kKeptPreviews) {
    if (const auto job = find(*(ended_.end() - kKeptPreviews - 1))) job->preview.clear();
  }
  while (ended_.size() > kKeptJobs) {
    live_.erase(ended_.front());
    ended_.pop_front();
  }
}

JobQueue::Group JobQueue::next_group() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  if (stopping_) return {};
  Group group{queue_.front()};
  queue_.pop_front();
  const std::string key = batch_key(group[0]->sample);
  std::int64_t images = group[0]->sample.count();
  for (auto place = queue_.begin(); !key.empty() && place != queue_.end();) {
    const auto& job = *place;
    if (images + job->sample.count() > kGroupImages || batch_key(job->sample) != key) {
      ++place;
      continue;
    }
    images += job->sample.count();
    group.push_back(job);
    place = queue_.erase(place);
  }
  for (const auto& job : group) {
    job->record.state = JobState::running;
    job->record.started = now();
    ++job->record.attempts;
    try {
      store_.update_job(job->record);
    } catch (const Error&) {  // the disk: in the store it stays queued
    }
    publish_state(*job);
  }
  ++counters_.batches;
  counters_.merged += static_cast<std::int64_t>(group.size()) - 1;
  return group;
}

/// Reports to every job of a group; cancelled when all of them are, or the server stops.
class GroupMonitor : public SampleMonitor {
 public:
  GroupMonitor(JobQueue& queue, const JobQueue::Group& group) : queue_(queue), group_(group) {
    for (const auto& job : group) images_ += job->sample.count();
  }

  void progress(const Progress& p) override {
    const auto time = Clock::now();
    const bool last = p.done == p.total;
    if (!last && time - reported_ < std::chrono::milliseconds(100)) return;
    reported_ = time;
    const std::lock_guard guard(queue_.mutex_);
    for (const auto& job : group_) {
      // Evaluations of this job's own images.
      job->total = images_ == 0 ? 0 : p.total * job->sample.count() / images_;
      job->done = p.total == 0 ? 0 : p.done * job->total / p.total;
      queue_.publish(*job, "progress", progress_json(*job));
    }
  }
  void warning(const std::string& text) override { warnings_.push_back(text); }
  bool cancelled() override {
    return queue_.stopping_ ||
           std::all_of(group_.begin(), group_.end(), [](const auto& job) { return job->cancel.load(); });
  }

  bool wants_step(std::int64_t step, std::int64_t) override {
    keeps_ = group_[0]->sample.keep_steps && step < queue_.limits_.kept_steps;
    began_ = Clock::now();
    return keeps_ || began_ >= next_preview_;
  }

  void step(const SampleStep& step) override {
    if (keeps_) {
      for (StepRecord& record : step_records(step)) steps_.push_back(std::move(record));
    }
    std::int64_t first = 0;  // of the job, in the group
    for (const auto& job : group_) {
      const std::int64_t count = job->sample.count();
      std::string preview = preview_png(step, first, count);
      first += count;
      if (preview.empty()) continue;
      const std::lock_guard guard(queue_.mutex_);
      job->preview = std::move(preview);
      const std::string url = fmt::format("/api/v1/jobs/{}/preview?step={}", job->record.id, step.step);
      queue_.publish(*job, "preview",
                     {{"step", step.step}, {"steps", step.steps}, {"sigma", step.sigma}, {"url", url}});
    }
    // Previews take a tenth of the time at most.
    const auto time = Clock::now();
    next_preview_ = time + std::max<Clock::duration>(std::chrono::milliseconds(150), 10 * (time - began_));
  }

  std::vector<StepRecord> take_steps() { return std::move(steps_); }

 private:
  using Clock = std::chrono::steady_clock;
  JobQueue& queue_;
  const JobQueue::Group& group_;
  std::int64_t images_ = 0;
  Clock::time_point reported_{}, began_{}, next_preview_{};
  bool keeps_ = false;
  std::vector<std::string> warnings_;
  std::vector<StepRecord> steps_;
};

void JobQueue::work() {
  while (true) {
    const Group group = next_group();
    if (group.empty()) return;
    run(group);
  }
}

void JobQueue::run(const Group& group) {
  GroupMonitor monitor(*this, group);
  std::string problem;
  try {
    const SampleResult result = run_sample(group, store_, runtime_, monitor);
    finish(group, result, monitor.take_steps());
    return;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::cancelled) problem = error.what();
  } catch (const HttpError& error) {
    problem = error.what();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  for (const auto& job : group) {
    if (!problem.empty()) {
      end(job, JobState::failed, problem);
    } else if (job->cancel) {
      end(job, JobState::cancelled, "");
    } else {  // the server stops: the next one makes it
      const std::lock_guard guard(mutex_);
      job->record.state = JobState::queued;
      job->record.started.reset();
      --job->record.attempts;
      try {
        store_.update_job(job->record);
      } catch (const Error&) {  // it stays running in the store, which queues it again as well
      }
    }
  }
}

void JobQueue::finish(const Group& group, const SampleResult& result, std::vector<StepRecord> steps) {
  counters_.images += result.count;
  counters_.evaluations += result.count * result.evaluations;
  counters_.seconds = counters_.seconds + result.seconds;
  std::int64_t first = 0;
  for (const auto& job : group) {
    const std::int64_t from = first;
    first += job->sample.count();
    if (job->cancel) {
      end(job, JobState::cancelled, "");
      continue;
    }
    JobRecord record = job->record;
    record.state = JobState::done;
    record.finished = now();
    record.result = {{"seconds", result.seconds},
                     {"evaluations", result.evaluations},
                     {"together_with", group.size() - 1},
                     {"warnings", result.warnings}};
    std::vector<std::int64_t> ids;
    try {
      ids = store_.finish_job(record, image_records(*job, models_.find(job->sample.model), result, from),
                              steps);
    } catch (const std::exception& error) {
      end(job, JobState::failed, error.what());
      continue;
    }
    const std::lock_guard guard(mutex_);
    ++counters_.done;
    job->record = record;
    job->images = ids;
    ended_.push_back(record.id);
    publish_state(*job);
    forget_old();
  }
}

}  // namespace diffit::server
