// diffit_monitor as a Monitor.
#pragma once

#include "capi/names.h"
#include "diffit/c.h"
#include "diffit/train.h"

namespace diffit::capi {

class CMonitor : public TrainMonitor {
 public:
  /// `functions` may be null; else it must outlive the monitor.
  explicit CMonitor(const diffit_monitor* functions) : functions_(functions) {}

  void progress(const Progress& progress) override;
  void warning(const std::string& text) override { message(DIFFIT_WARNING, text); }
  void note(const std::string& text) override { message(DIFFIT_NOTE, text); }
  bool cancelled() override;
  void step(const TrainStep& step) override;
  void snapshot(const SnapshotEvent& event) override;
  void evaluated(const EvaluationEvent& event) override;
  void skipped(const SkippedStepEvent& event) override;

 private:
  void message(diffit_message kind, const std::string& text);
  bool hears_events() const { return functions_ != nullptr && functions_->event != nullptr; }

  const diffit_monitor* functions_;
};

}  // namespace diffit::capi
