// Progress, messages and cancellation of long work.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace diffit {

/// How far a piece of work has come.
struct Progress {
  std::int64_t done = 0, total = 0;  // in units; total 0: unknown
  std::string unit;                  // plural: "images", "evaluations"
};

/// Receives what long work reports, and tells it when to stop. Every function is called from the thread that
/// does the work, never from two at once, and should return quickly. The default ignores every report and
/// never cancels.
class Monitor {
 public:
  virtual ~Monitor() = default;
  /// Called often; an implementation that displays progress limits its own rate.
  virtual void progress(const Progress&) {}
  /// A condition that a person should act on: one line.
  virtual void warning(const std::string&) {}
  /// Information, such as "resumes after 128 of 1000 images": one line.
  virtual void note(const std::string&) {}
  /// Whether the work should stop at the next safe point. It then ends with ErrorKind::cancelled.
  virtual bool cancelled() { return false; }
};

/// A monitor that is cancelled from another thread or from a signal handler.
class CancellableMonitor : public Monitor {
 public:
  void cancel() noexcept { cancelled_ = true; }
  bool cancelled() override { return cancelled_; }

 private:
  std::atomic<bool> cancelled_ = false;
};

}  // namespace diffit
