#include "tools/diffit/machine.h"

#include <ATen/Parallel.h>

#include <fstream>

#include "base/text.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace diffit {

Machine open_machine(const CommonOptions& common, bool prefer_bf16) {
  if (common.threads > 0) at::set_num_threads(common.threads);
  const at::Device device = open_device(common.device);
  return {device, open_dtype(common.dtype, device, prefer_bf16)};
}

namespace {

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (const std::size_t colon = line.find(':');
        line.starts_with("model name") && colon != std::string::npos)
      return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return "processor of unknown name";
}

}  // namespace

std::string describe(const Machine& machine) {
  const char* dtype = machine.dtype == at::kFloat ? "f32" : "bf16";
  std::string text = fmt::format("{}, {} threads, {} kernels, {}", processor(), at::get_num_threads(),
                                 cpu_kernel_target(), dtype);
  if (!machine.device.is_cpu()) text += fmt::format(", on {}", machine.device.str());
  return text;
}

}  // namespace diffit
