#include "jobs/describe_runtime.h"

#include <ATen/Parallel.h>

#include <fstream>

#include "base/text.h"
#include "kernels/cuda_backend.h"
#include "kernels/ops.h"

namespace diffit::jobs {
namespace {

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (const std::size_t colon = line.find(':');
        line.starts_with("model name") && colon != std::string::npos)
      return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return "unknown processor";
}

}  // namespace

std::string describe_runtime(const Runtime& runtime) {
  const char* dtype = runtime.dtype == at::kFloat ? "f32" : "bf16";
  std::string text = fmt::format("{}, {} threads, {} kernels, {}", processor(), at::get_num_threads(),
                                 cpu_kernel_target(), dtype);
  if (!runtime.device.is_cpu()) {
    text += fmt::format(", on {} {} our CUDA kernels", runtime.device.str(),
                        has_cuda_kernels() ? "with" : "without");
  }
  return text;
}

}  // namespace diffit::jobs
