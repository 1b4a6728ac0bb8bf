#include "server/attention_room.h"

#include <algorithm>
#include <chrono>
#include <tuple>

#include "base/error.h"
#include "base/text.h"

namespace diffit::server {

namespace {

constexpr std::size_t kMostWaiting = 16, kMostOpen = 2, kMostSnapshots = 1000;
constexpr const char* kPrefix = "runs/";

/// Cancelled when the server stops or nobody waits any more.
class RoomMonitor : public Monitor {
 public:
  RoomMonitor(const std::atomic<bool>& stopping, std::shared_ptr<std::atomic<bool>> given_up)
      : stopping_(stopping), given_up_(std::move(given_up)) {}
  bool cancelled() override { return stopping_ || *given_up_; }

 private:
  const std::atomic<bool>& stopping_;
  std::shared_ptr<std::atomic<bool>> given_up_;
};

/// "snapshot-000050000-ema.safetensors" of a run; nothing for other names.
std::optional<SnapshotModel> snapshot_named(const std::string& run, const std::string& file) {
  const std::string prefix = "snapshot-", ending = ".safetensors";
  if (!file.starts_with(prefix) || !file.ends_with(ending)) return {};
  const std::string stem = file.substr(prefix.size(), file.size() - prefix.size() - ending.size());
  const std::size_t dash = stem.find('-');
  const std::string digits = stem.substr(0, dash);
  if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos)
    return {};
  return SnapshotModel{kPrefix + run + "/" + file, run,
                       dash == std::string::npos ? "" : stem.substr(dash + 1), std::stoll(digits)};
}

}  // namespace

AttentionRoom::AttentionRoom(const Models& models, const fs::path& runs, const Limits& limits,
                             const RuntimeOptions& runtime)
    : models_(models), runs_(runs), limits_(limits), runtime_(runtime), thread_([this] { serve(); }) {}

AttentionRoom::~AttentionRoom() {
  stop();
}

void AttentionRoom::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::vector<SnapshotModel> AttentionRoom::snapshots() const {
  std::vector<SnapshotModel> found;
  std::error_code none;
  for (const auto& run : fs::directory_iterator(runs_, none)) {
    const std::string name = run.path().filename().string();
    if (name.starts_with('.') || !run.is_directory(none)) continue;
    for (const auto& file : fs::directory_iterator(run.path(), none)) {
      if (found.size() == kMostSnapshots) break;
      if (auto snapshot = snapshot_named(name, file.path().filename().string())) found.push_back(*snapshot);
    }
  }
  std::sort(found.begin(), found.end(), [](const SnapshotModel& a, const SnapshotModel& b) {
    return std::tie(a.run, a.weights, a.images) < std::tie(b.run, b.weights, b.images);
  });
  return found;
}

ServedModel AttentionRoom::find(const std::string& name) const {
  if (!name.starts_with(kPrefix)) return models_.find(name);
  const std::vector<SnapshotModel> known = snapshots();
  const bool listed = std::any_of(known.begin(), known.end(), [&](const auto& s) { return s.name == name; });
  if (!listed) throw HttpError(400, fmt::format("`model`: there is no snapshot '{}'", name), "model");
  try {
    std::optional<ServedModel> model =
        read_model((runs_ / name.substr(std::string(kPrefix).size())).string());
    DIFFIT_CHECK(model.has_value(), "`model` {}: wanted an image-space or latent model, got another network",
                 name);
    model->name = name;
    return *model;
  } catch (const Error& error) {
    throw HttpError(400, error.what(), "model");
  }
}

Json AttentionRoom::run(const ServedModel& model, const Work& work) {
  const auto given_up = std::make_shared<std::atomic<bool>>(false);
  const auto task = std::make_shared<std::packaged_task<Json()>>([this, path = model.path, work, given_up] {
    RoomMonitor monitor(stopping_, given_up);
    if (monitor.cancelled()) throw Error(ErrorKind::cancelled, "the request was given up");
    return work(opened(path), monitor);
  });
  std::future<Json> result = task->get_future();
  {
    const std::lock_guard guard(mutex_);
    if (stopping_) throw HttpError(503, "the server is stopping");
    if (queue_.size() >= kMostWaiting) throw HttpError(503, "too many requests wait for attention");
    queue_.push_back(task);
  }
  changed_.notify_all();
  if (result.wait_for(std::chrono::duration<double>(limits_.wait)) != std::future_status::ready) {
    *given_up = true;
    throw HttpError(504, fmt::format("attention took more than {} seconds", limits_.wait));
  }
  try {
    return result.get();
  } catch (const Error& error) {
    if (stopping_) throw HttpError(503, "the server is stopping");
    throw as_http_error(error);
  } catch (const std::future_error&) {
    throw HttpError(503, "the server is stopping");
  }
}

void AttentionRoom::serve() {
  while (true) {
    std::shared_ptr<std::packaged_task<Json()>> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) {
        queue_.clear();  // their promises are broken
        return;
      }
      task = queue_.front();
      queue_.pop_front();
    }
    (*task)();
  }
}

const AttentionModel& AttentionRoom::opened(const std::string& path) {
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& o) { return o.first == path; });
  if (found != open_.end()) {
    std::rotate(found, found + 1, open_.end());
  } else {
    while (open_.size() >= kMostOpen) open_.pop_front();
    AttentionModel model = open_attention(path, runtime_);
    open_.emplace_back(path, std::move(model));
  }
  return open_.back().second;
}

}  // namespace diffit::server
