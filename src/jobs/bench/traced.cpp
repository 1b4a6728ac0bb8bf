#include "jobs/bench/traced.h"

#include "runtime/trace.h"

namespace diffit::jobs {

void add_trace(const std::string& path, const Runtime& machine, const std::function<void()>& once,
               BenchFigures& figures) {
  if (path.empty()) return;
  constexpr int kCalls = 3;
  constexpr std::size_t kShown = 40, kNameWidth = 110;
  runtime::Trace trace(machine.device);
  for (int i = 0; i < kCalls; ++i) once();
  const runtime::TraceSummary summary = trace.finish(path);
  Json times = Json::array();
  figures.text += fmt::format("\ntrace of one call in {}: {:.3f} ms", path, summary.milliseconds / kCalls);
  if (!machine.device.is_cpu())
    figures.text += fmt::format(", the GPU busy for {:.3f} ms", summary.busy_milliseconds / kCalls);
  figures.text += "\n        ms  calls";
  for (const runtime::TracedTime& time : summary.by_name) {
    const double milliseconds = time.milliseconds / kCalls, calls = static_cast<double>(time.calls) / kCalls;
    if (times.size() < kShown) {
      figures.text +=
          fmt::format("\n{:10.3f} {:6.0f}  {}", milliseconds, calls, time.name.substr(0, kNameWidth));
    }
    times.push_back({{"name", time.name}, {"calls", calls}, {"milliseconds", milliseconds}});
  }
  figures.json["trace"] = {{"file", path},
                           {"milliseconds", summary.milliseconds / kCalls},
                           {"busy_milliseconds", summary.busy_milliseconds / kCalls},
                           {"times", times}};
}

}  // namespace diffit::jobs
