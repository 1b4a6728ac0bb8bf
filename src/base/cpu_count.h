// How many processors this process may use: by its affinity mask, and by the CPU quota of its control groups.
#pragma once

#include <filesystem>
#include <optional>

#include "base/layers.h"

namespace diffit::base {

/// What limits the process; `quota` is in processors (1.5 is 150 ms in each 100 ms) where there is one.
struct CpuLimits {
  int affinity = 1;
  std::optional<double> quota;

  /// The smaller of both, a quota rounded up; at least 1.
  int count() const;
};

/// The smallest quota of the process's control groups, version 1 and 2, up to the root of the hierarchy as it
/// is mounted here. Reads `root`/proc/self/cgroup and `root`/proc/self/mountinfo. Nothing where there is no
/// quota or where the files do not say.
std::optional<double> cgroup_quota(const std::filesystem::path& root = "/");

/// Of this process. Asked anew at each call.
CpuLimits cpu_limits();

/// How many of `wanted` further threads the system starts beside one another now; they have ended on return.
int startable_threads(int wanted);

/// cpu_limits().count() as it was at the first call: the default of every pool of threads.
int cpu_count();

}  // namespace diffit::base
