#include "tools/diffit/progress.h"

#include "tools/diffit/option_names.h"
#include "tools/diffit/terminal.h"

namespace diffit::cli {

ProgressLine::ProgressLine(const CommonOptions& common) : quiet_(common.quiet) {
  if (!stderr_screen().terminal) last_ = start_;
}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::clear() {
  if (!quiet_) clear_line();
}

void ProgressLine::show(const std::string& text) {
  if (quiet_) return;
  const auto now = Clock::now();
  if (now - last_ < std::chrono::milliseconds(200)) return;
  const Screen screen = stderr_screen();
  if (screen.terminal) {
    draw_line(screen, text);
  } else if (now - last_ < std::chrono::seconds(30)) {
    return;
  } else {
    print_err(text + "\n");
  }
  last_ = now;
}

void ProgressLine::show_count(double done, double all, const std::string& unit) {
  if (!unit_.empty() && unit != unit_) start_ = Clock::now();
  unit_ = unit;
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = done / std::max(seconds, 1e-9);
  show(fmt::format("{:.0f}/{:.0f} {}, {:.1f}/s, ETA {}", done, all, unit, rate,
                   done > 0 ? human_seconds((all - done) / rate) : "?"));
}

void ProgressLine::say(const std::string& text) {
  if (quiet_) return;
  print_err(with_options(text) + "\n");
}

}  // namespace diffit::cli
