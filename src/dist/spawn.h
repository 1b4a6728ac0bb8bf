// Starts the ranks of a job on this machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace diffit::dist {

struct SpawnRequest {
  int ranks = 2;
  std::vector<std::string> command;  // program and arguments of every rank
  int threads = 0;                   // OMP_NUM_THREADS of each, unless it is set already; 0: not set
  /// Asked about 50 times a second; once it returns true, SIGTERM is sent to every rank.
  std::function<bool()> stop = [] { return false; };
};

/// Runs the command once per rank, with RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE and DIFFIT_STORE in
/// its environment, and waits for all. When one ends with an error, the others have 10 seconds to end by
/// themselves before SIGTERM, and 20 more before SIGKILL. If this process dies, the ranks get SIGTERM.
/// Returns the exit code of the first rank that failed (128 + the number of a signal), or 0. Throws
/// Error(failed) if a process cannot be started.
int run_ranks(const SpawnRequest& request);

}  // namespace diffit::dist
