#include "capi/monitor.h"

#include "config/fields.h"
#include "config/json_text.h"

namespace diffit::capi {

void CMonitor::progress(const Progress& progress) {
  if (functions_ != nullptr && functions_->progress != nullptr)
    functions_->progress(functions_->user, progress.done, progress.total, progress.unit.c_str());
}

void CMonitor::message(diffit_message kind, const std::string& text) {
  if (functions_ != nullptr && functions_->message != nullptr)
    functions_->message(functions_->user, kind, text.c_str());
}

bool CMonitor::cancelled() {
  return functions_ != nullptr && functions_->cancelled != nullptr &&
         functions_->cancelled(functions_->user) != 0;
}

void CMonitor::step(const TrainStep& step) {
  if (!hears_events()) return;
  Json object = {{"images", step.images},
                 {"total_images", step.total_images},
                 {"loss", step.loss},
                 {"gradient_norm", step.gradient_norm},
                 {"lr", step.lr},
                 {"seconds", step.seconds},
                 {"seconds_left", step.seconds_left},
                 {"images_per_second", step.images_per_second},
                 {"skipped", step.skipped},
                 {"memory_bytes", step.memory_bytes}};
  if (step.mfu > 0) object["mfu"] = step.mfu;
  functions_->event(functions_->user, "step", json_text(object).c_str());
}

void CMonitor::snapshot(const SnapshotEvent& event) {
  if (!hears_events()) return;
  const Json object = {{"images", event.images}, {"models", event.models}, {"samples", event.samples}};
  functions_->event(functions_->user, "snapshot", json_text(object).c_str());
}

void CMonitor::evaluated(const EvaluationEvent& event) {
  if (!hears_events()) return;
  Json metrics = Json::object();
  for (const auto& [name, value] : event.metrics) metrics[name] = value;
  const Json object = {{"images", event.images}, {"metrics", metrics}};
  functions_->event(functions_->user, "evaluated", json_text(object).c_str());
}

void CMonitor::skipped(const SkippedStepEvent& event) {
  if (!hears_events()) return;
  const Json object = {
      {"images", event.images}, {"loss", event.loss}, {"gradient_norm", event.gradient_norm}};
  functions_->event(functions_->user, "skipped", json_text(object).c_str());
}

}  // namespace diffit::capi
