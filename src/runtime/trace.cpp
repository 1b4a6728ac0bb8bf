#include "runtime/trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "runtime/device.h"

namespace diffit::runtime {
namespace {

namespace kineto = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

TraceSummary summary_of(const kineto::ProfilerResult& result, at::Device device) {
  std::map<std::string, TracedTime> by_name;
  TraceSummary summary;
  std::uint64_t first = ~0ULL, last = 0;
  for (const kineto::KinetoEvent& event : result.events()) {
    first = std::min(first, event.startNs());
    last = std::max(last, event.endNs());
    if (event.deviceType() != device.type()) continue;
    TracedTime& time = by_name[event.name()];
    const double milliseconds = static_cast<double>(event.durationNs()) * 1e-6;
    ++time.calls;
    time.milliseconds += milliseconds;
    if (!device.is_cpu()) summary.busy_milliseconds += milliseconds;
  }
  if (last > first) summary.milliseconds = static_cast<double>(last - first) * 1e-6;
  for (auto& [name, time] : by_name) {
    time.name = name;
    summary.by_name.push_back(std::move(time));
  }
  std::sort(summary.by_name.begin(), summary.by_name.end(),
            [](const TracedTime& a, const TracedTime& b) { return a.milliseconds > b.milliseconds; });
  return summary;
}

}  // namespace

Trace::Trace(at::Device device) : device_(device) {
  std::set<ActivityType> activities{ActivityType::CPU};
  if (device_.is_cuda()) activities.insert(ActivityType::CUDA);
  const ProfilerConfig config(ProfilerState::KINETO);
  kineto::prepareProfiler(config, activities);
  kineto::enableProfiler(config, activities, {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
}

Trace::~Trace() {
  if (recording_) kineto::disableProfiler();
}

TraceSummary Trace::finish(const std::string& path) {
  synchronize(device_);
  recording_ = false;
  const std::unique_ptr<kineto::ProfilerResult> result = kineto::disableProfiler();
  result->save(path);
  std::error_code none;
  if (std::filesystem::file_size(path, none) == 0 || none) fail("{}: the trace cannot be written", path);
  return summary_of(*result, device_);
}

}  // namespace diffit::runtime
