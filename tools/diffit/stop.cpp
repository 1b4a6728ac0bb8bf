#include "tools/diffit/stop.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "tools/diffit/terminal.h"

namespace diffit::cli {

namespace {

std::atomic<bool> stop_wanted = false, watched = false;
std::atomic<int> stop_signal = 0;
std::atomic<std::int64_t> stopped_at = 0;  // milliseconds
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

/// A repetition within this time is the same wish: `timeout` sends its signal to the process and to its
/// group.
constexpr std::int64_t kSameWish = 100;

constexpr int kAsking[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};

const char* name_of(int number) {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGXCPU:
      return "SIGXCPU";
    default:
      return "a signal";
  }
}

std::int64_t milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

void write_text(const char* text) {
  if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

extern "C" void on_signal(int number) {
  const int saved = errno;
  if (!watched) {
    remove_open_temporaries();
    write_text(line_is_drawn() ? "\nerror: interrupted by " : "error: interrupted by ");
    write_text(name_of(number));
    write_text("\n");
    _exit(1);
  }
  if (!stop_wanted.exchange(true)) {
    stop_signal = number;
    stopped_at = milliseconds();
  } else if (number != SIGHUP && number != SIGXCPU && milliseconds() - stopped_at >= kSameWish) {
    remove_open_temporaries();
    ::signal(number, SIG_DFL);
    ::raise(number);
  }
  errno = saved;
}

}  // namespace

void install_signal_handlers() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGTTOU, SIG_IGN);  // a job in the background writes its messages, and is not stopped for them
  for (const int number : kAsking) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(number, &action, nullptr);
  }
}

const std::atomic<bool>& watch_for_stop() {
  watched = true;
  return stop_wanted;
}

bool stop_requested() {
  return stop_wanted;
}

const char* stop_signal_name() {
  return name_of(stop_signal);
}

}  // namespace diffit::cli
