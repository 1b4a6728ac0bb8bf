// A progress line on stderr: rewritten in place on a terminal, a plain line now and then elsewhere. A process
// in the background of a terminal does not draw.
#pragma once

#include <chrono>
#include <string>

#include "diffit/train.h"
#include "tools/diffit/command.h"
#include "tools/diffit/stop.h"

namespace diffit::cli {

class ProgressLine {
 public:
  explicit ProgressLine(const CommonOptions& common);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows `text` if it is time to.
  void show(const std::string& text);
  /// "done/all unit, rate, ETA" of work that began with the first call for this unit.
  void show_count(double done, double all, const std::string& unit);
  /// A line that stays.
  void say(const std::string& text);

 private:
  void clear();

  using Clock = std::chrono::steady_clock;
  bool quiet_;
  std::string unit_;
  Clock::time_point start_ = Clock::now(), last_{};
};

/// Shows progress, notes and warnings on stderr; cancelled by the signals of stop.h.
class TerminalMonitor : public TrainMonitor {
 public:
  explicit TerminalMonitor(const CommonOptions& common) : line_(common) {}
  void progress(const Progress& p) override {
    line_.show_count(static_cast<double>(p.done), static_cast<double>(p.total), p.unit);
  }
  void warning(const std::string& text) override { line_.say("warning: " + text); }
  void note(const std::string& text) override { line_.say(text); }
  bool cancelled() override { return stop_requested(); }
  ProgressLine& line() { return line_; }

 protected:
  ProgressLine line_;
};

/// For work that can be stopped between two steps: the first question whether to stop is the call of
/// watch_for_stop(). Until then, a signal ends the program.
class StoppableMonitor : public TerminalMonitor {
 public:
  using TerminalMonitor::TerminalMonitor;
  bool cancelled() override { return watch_for_stop(); }
};

}  // namespace diffit::cli
