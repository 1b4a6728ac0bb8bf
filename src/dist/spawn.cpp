#include "dist/spawn.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/temporary.h"
#include "dist/place.h"

extern char** environ;

namespace diffit::dist {

namespace {

using Clock = std::chrono::steady_clock;

/// A new folder for the file at which the ranks meet.
class MeetingFolder {
 public:
  MeetingFolder() {
    std::string name = (scratch_folder() / "diffit-ranks-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("{}: cannot be made: {}", name, std::strerror(errno));
    path_ = name;
  }
  ~MeetingFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MeetingFolder(const MeetingFolder&) = delete;
  MeetingFolder& operator=(const MeetingFolder&) = delete;
  std::string store() const { return "file:" + (path_ / "store").string(); }

 private:
  std::filesystem::path path_;
};

/// The environment of this process with some variables replaced.
std::vector<std::string> environment_of(const SpawnRequest& request, int rank, const std::string& store) {
  std::vector<std::pair<std::string, std::string>> set{{"RANK", std::to_string(rank)},
                                                       {"WORLD_SIZE", std::to_string(request.ranks)},
                                                       {"LOCAL_RANK", std::to_string(rank)},
                                                       {"LOCAL_WORLD_SIZE", std::to_string(request.ranks)},
                                                       {"DIFFIT_STORE", store}};
  if (request.threads > 0 && std::getenv("OMP_NUM_THREADS") == nullptr)
    set.emplace_back("OMP_NUM_THREADS", std::to_string(request.threads));
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : set) replaced = replaced || text.starts_with(name + "=");
    if (!replaced) all.push_back(text);
  }
  for (const auto& [name, value] : set) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

pid_t start(const SpawnRequest& request, int rank, const std::string& store) {
  std::vector<std::string> words = request.command, settings = environment_of(request, rank, store);
  const std::vector<char*> arguments = pointers(words), environment = pointers(settings);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) fail("rank {}: cannot be started: {}", rank, std::strerror(errno));
  if (child > 0) return child;
  // Signals of the terminal reach the parent alone, which passes them on once.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);  // a program may block signals in all threads but one
  ::execve(arguments[0], arguments.data(), environment.data());
  ::_exit(127);
}

/// The processes that still run.
class Ranks {
 public:
  ~Ranks() {
    signal(SIGKILL);
    for (const pid_t pid : running_) ::waitpid(pid, nullptr, 0);
  }
  Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  void add(pid_t pid) { running_.push_back(pid); }
  bool empty() const { return running_.empty(); }
  void signal(int number) const {
    for (const pid_t pid : running_) ::kill(pid, number);
  }
  /// Removes those that have ended. Returns the first exit code other than 0, or 0.
  int collect() {
    int code = 0;
    std::erase_if(running_, [&](pid_t pid) {
      int status = 0;
      const pid_t ended = ::waitpid(pid, &status, WNOHANG);
      if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
      const int own = ended < 0 ? 1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      if (code == 0) code = own;
      return true;
    });
    return code;
  }

 private:
  std::vector<pid_t> running_;
};

}  // namespace

int run_ranks(const SpawnRequest& request) {
  const MeetingFolder folder;
  Ranks ranks;
  for (int rank = 0; rank < request.ranks; ++rank) ranks.add(start(request, rank, folder.store()));
  int code = 0;
  bool stopping = false;
  Clock::time_point terminate_at = Clock::time_point::max(), kill_at = Clock::time_point::max();
  while (!ranks.empty()) {
    const int ended = ranks.collect();
    if (code == 0 && ended != 0) {
      code = ended;
      terminate_at = Clock::now() + std::chrono::seconds(10);
      kill_at = terminate_at + std::chrono::seconds(20);
    }
    if (!stopping && request.stop()) {
      stopping = true;
      ranks.signal(SIGTERM);
    }
    if (Clock::now() >= terminate_at) {
      ranks.signal(SIGTERM);
      terminate_at = Clock::time_point::max();
    }
    if (Clock::now() >= kill_at) ranks.signal(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return code;
}

}  // namespace diffit::dist
