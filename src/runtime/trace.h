// Records what LibTorch's operations and the kernels of a GPU do over a stretch of time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/layers.h"

namespace diffit::runtime {

/// Time of one kernel of the GPU, or of one operation on the CPU (which includes those that it calls).
struct TracedTime {
  std::string name;
  std::int64_t calls = 0;
  double milliseconds = 0;
};

struct TraceSummary {
  double milliseconds = 0;          // from the start to the end of the recording
  double busy_milliseconds = 0;     // sum over kernels; 0 on the CPU
  std::vector<TracedTime> by_name;  // the longest first
};

/// Records from its construction on, with LibTorch's profiler (Kineto, and CUPTI on a GPU). One at a time in
/// a process.
class Trace {
 public:
  explicit Trace(at::Device device);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Waits for the device, ends the recording, writes it to `path` in Chrome's trace format (JSON, for
  /// chrome://tracing or https://ui.perfetto.dev), and returns a summary. Throws Error(failed) if the file
  /// cannot be written. To be called once.
  TraceSummary finish(const std::string& path);

 private:
  at::Device device_;
  bool recording_ = true;
};

}  // namespace diffit::runtime
