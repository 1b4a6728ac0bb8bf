#include "tools/diffit/progress.h"

#include <unistd.h>

#include <cstdio>

namespace diffit {

ProgressLine::ProgressLine(const CommonOptions& common)
    : quiet_(common.quiet), terminal_(isatty(STDERR_FILENO) != 0) {
  if (!terminal_) last_ = start_;
}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::clear() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  drawn_ = false;
}

void ProgressLine::show(const std::string& text) {
  if (quiet_) return;
  const auto now = Clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(30);
  if (now - last_ < pause) return;
  last_ = now;
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{}", text);
    std::fflush(stderr);
    drawn_ = true;
  } else {
    fmt::print(stderr, "{}\n", text);
  }
}

void ProgressLine::show_count(double done, double all, const std::string& unit) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = done / std::max(seconds, 1e-9);
  show(fmt::format("{:.0f}/{:.0f} {}, {:.1f}/s, ETA {}", done, all, unit, rate,
                   done > 0 ? human_seconds((all - done) / rate) : "?"));
}

void ProgressLine::say(const std::string& text) {
  if (quiet_) return;
  clear();
  fmt::print(stderr, "{}\n", text);
}

}  // namespace diffit
