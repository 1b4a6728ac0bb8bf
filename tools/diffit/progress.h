// A progress line on stderr: rewritten in place on a terminal, a plain line now and then elsewhere. A process
// in the background of a terminal does not draw.
#pragma once

#include <chrono>
#include <string>

#include "tools/diffit/command.h"

namespace diffit::cli {

class ProgressLine {
 public:
  explicit ProgressLine(const CommonOptions& common);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows `text` if it is time to.
  void show(const std::string& text);
  /// "done/all unit, rate, ETA" of work that began with this object.
  void show_count(double done, double all, const std::string& unit);
  /// A line that stays.
  void say(const std::string& text);

 private:
  void clear();

  using Clock = std::chrono::steady_clock;
  bool quiet_;
  Clock::time_point start_ = Clock::now(), last_{};
};

}  // namespace diffit::cli
