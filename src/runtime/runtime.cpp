#include "runtime/runtime.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>

#include "base/cpu_count.h"
#include "base/error.h"
#include "runtime/device.h"

namespace diffit::runtime {

int most_threads() {
  return std::max(64, 4 * cpu_count());
}

void apply_threads(int threads) {
  const bool users = std::getenv("OMP_NUM_THREADS") != nullptr || std::getenv("MKL_NUM_THREADS") != nullptr;
  const int now = at::get_num_threads();
  int wanted = threads > 0 ? threads : users ? now : std::min(now, cpu_count());
  // OpenMP ends the process where it cannot start a thread.
  if (const int had = 1 + startable_threads(wanted - 1); had < wanted) {
    if (threads > 0) {
      fail(
          "`threads` {}: the system starts no more than {} threads now (ulimit -u, ulimit -v, or pids.max of "
          "the "
          "control group); try `threads` {}",
          wanted, had, had);
    }
    wanted = had;
  }
  if (wanted != now) at::set_num_threads(wanted);
}

Runtime open_runtime(const RuntimeOptions& options, bool prefer_bf16, Monitor& monitor) {
  apply_threads(options.threads);
  const OpenedDevice opened = open_device(options.device);
  if (!opened.note.empty()) monitor.note(opened.note);
  return {opened.device, open_dtype(options.dtype, opened.device, prefer_bf16)};
}

}  // namespace diffit::runtime
