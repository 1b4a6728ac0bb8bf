#include "tools/diffit/machine.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/text.h"
#include "kernels/cuda_backend.h"
#include "runtime/device.h"
#include "kernels/ops.h"

namespace diffit::cli {

int most_threads() {
  return std::max(64, 4 * cpu_count());
}

void apply_threads(const CommonOptions& common) {
  const bool users = std::getenv("OMP_NUM_THREADS") != nullptr || std::getenv("MKL_NUM_THREADS") != nullptr;
  const int now = at::get_num_threads();
  int wanted = common.threads > 0 ? common.threads : users ? now : std::min(now, cpu_count());
  // OpenMP ends the process where it cannot start a thread.
  if (const int had = 1 + startable_threads(wanted - 1); had < wanted) {
    if (common.threads > 0) {
      fail(
          "--threads {}: the system starts no more than {} threads now (ulimit -u, ulimit -v, or pids.max of "
          "the "
          "control group); try --threads {}",
          wanted, had, had);
    }
    wanted = had;
  }
  if (wanted != now) at::set_num_threads(wanted);
}

Machine open_machine(const CommonOptions& common, bool prefer_bf16) {
  apply_threads(common);
  const OpenedDevice opened = open_device(common.device);
  if (!opened.note.empty()) print_note(common, opened.note);
  return {opened.device, open_dtype(common.dtype, opened.device, prefer_bf16)};
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
  if (!machine.device.is_cpu()) {
    text += fmt::format(", on {} {} own CUDA kernels", machine.device.str(),
                        has_cuda_kernels() ? "with" : "without");
  }
  return text;
}

}  // namespace diffit::cli
