// The place of this process among the processes that work on one job together.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/layers.h"

namespace diffit::dist {

/// One of `size` processes, called ranks. Rank 0 is the leader: it owns the files and the messages of the
/// job.
struct Place {
  int rank = 0, size = 1;
  int local_rank = 0, local_size = 1;  // among the processes of this machine
  /// Where the ranks meet: "HOST:PORT", or "file:PATH" on a file system that all of them see.
  std::string store;
  bool serves = false;  // this rank opens the TCP server of `store`; torchrun's agent opens its own
  std::string
      session;  // differs between attempts of one job, so that keys of an earlier attempt are not found
  std::string launcher;  // for messages: "torchrun", "srun", "mpirun", "diffit --ranks"

  bool alone() const { return size == 1; }
  bool leads() const { return rank == 0; }
};

/// Looks up an environment variable; nullptr: not set.
using Lookup = std::function<const char*(const char* name)>;

/// Returns the place that the launcher has put into the environment, or a place alone if there is none.
/// Reads, in this order:
///   torchrun, `diffit train --ranks`: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE;
///   Open MPI: OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE;
///   SLURM, within srun: SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_NODELIST,
///   SLURM_JOB_ID.
/// The meeting point is DIFFIT_STORE, else MASTER_ADDR and MASTER_PORT, else within srun the first node of
/// the step and a port derived from the job. Throws Error(invalid), naming the variable, if one is missing,
/// is not a number, or is out of range.
Place place_from_environment(const Lookup& lookup);
/// The same for the environment of this process.
Place place_from_environment();

/// Returns the first host of a SLURM node list: "gpu[07-09,12],login" gives "gpu07".
std::string first_host(const std::string& node_list);

}  // namespace diffit::dist
