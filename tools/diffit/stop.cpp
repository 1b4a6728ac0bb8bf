#include "tools/diffit/stop.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
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

void take_signal(int number) {
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
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    ::raise(number);
  }
}

sigset_t taken;  // the signals that the watching thread waits for

void* wait_for_signals(void*) {
  while (true) {
    int number = 0;
    if (::sigwait(&taken, &number) == 0) take_signal(number);
  }
}

bool start_watching() {
  constexpr std::size_t kStack = std::size_t{256} << 10;
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  ::pthread_attr_setstacksize(&attributes, kStack);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  const bool started = ::pthread_create(&thread, &attributes, wait_for_signals, nullptr) == 0;
  ::pthread_attr_destroy(&attributes);
  return started;
}

extern "C" void on_signal(int number) {
  const int saved = errno;
  take_signal(number);
  errno = saved;
}

/// For a system that gives no thread, and for threads of libraries that let the signals through.
void install_handlers() {
  static std::array<std::byte, std::size_t{64} << 10> stack;
  stack_t own{};
  own.ss_sp = stack.data();
  own.ss_size = stack.size();
  ::sigaltstack(&own, nullptr);
  for (const int number : kAsking) {
    if (sigismember(&taken, number) != 1) continue;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace

void install_signal_handlers() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGTTOU, SIG_IGN);  // a job in the background writes its messages, and is not stopped for them
  // A thread of its own takes the signals. Kernels that oneDNN generates keep data where the stack pointer
  // points to, outside the stack, and a handler that runs in such a thread overwrites them.
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  sigemptyset(&taken);
  for (const int number : kAsking) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    if (sigismember(&blocked, number) != 1) sigaddset(&taken, number);
  }
  install_handlers();
  ::pthread_sigmask(SIG_BLOCK, &taken, nullptr);  // also in the threads that start from now on
  if (!start_watching()) ::pthread_sigmask(SIG_UNBLOCK, &taken, nullptr);
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
