#include "dist/place.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"

namespace diffit::dist {

namespace {

/// Reads the variables of one launcher.
class Variables {
 public:
  Variables(const Lookup& lookup, std::string launcher) : lookup_(lookup), launcher_(std::move(launcher)) {}

  std::optional<std::string> text(const char* name) const {
    const char* value = lookup_(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  }

  /// A whole number from `low` to `high`.
  int number(const char* name, int low, int high) const {
    const std::optional<std::string> value = text(name);
    DIFFIT_CHECK(value,
                 "the environment variable {} is not set, but other variables of {} are; start all "
                 "processes with one launcher, or unset them",
                 name, launcher_);
    int number = 0;
    const char* const end = value->data() + value->size();
    const auto [stop, error] = std::from_chars(value->data(), end, number);
    DIFFIT_CHECK(error == std::errc() && stop == end && number >= low && number <= high,
                 "the environment variable {} of {} is '{}': wanted a whole number from {} to {}", name,
                 launcher_, printable(*value), low, high);
    return number;
  }
  int number(const char* name, int low, int high, int otherwise) const {
    return text(name) ? number(name, low, high) : otherwise;
  }

 private:
  const Lookup& lookup_;
  std::string launcher_;
};

struct Names {
  const char *launcher, *rank, *size, *local_rank, *local_size;
};
constexpr Names kTorchrun{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kOpenMpi{"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                         "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
// sbatch sets SLURM_PROCID and SLURM_NTASKS for its script too; only srun sets the numbers of a step.
constexpr Names kSlurm{"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
                       "SLURM_STEP_TASKS_PER_NODE"};

constexpr int kMostRanks = 1 << 16, kLowestPort = 1, kHighestPort = 65535;

/// The meeting point that the user or torchrun states; empty: none.
std::string stated_store(const Variables& variables) {
  if (const auto store = variables.text("DIFFIT_STORE")) return *store;
  const auto address = variables.text("MASTER_ADDR");
  if (!address) return "";
  return fmt::format("{}:{}", *address, variables.number("MASTER_PORT", kLowestPort, kHighestPort));
}

/// Job numbers spread over the upper ports, so that two jobs on a node rarely meet.
int slurm_port(const Variables& variables) {
  const int job = variables.number("SLURM_JOB_ID", 0, std::numeric_limits<int>::max(), 0);
  const int step = variables.number("SLURM_STEP_ID", 0, std::numeric_limits<int>::max(), 0);
  return 20000 + static_cast<int>((static_cast<long long>(job) * 64 + step) % 12000);
}

Place read_place(const Names& names, const Lookup& lookup) {
  const Variables variables(lookup, names.launcher);
  Place place;
  place.launcher = names.launcher;
  place.size = variables.number(names.size, 1, kMostRanks);
  place.rank = variables.number(names.rank, 0, place.size - 1);
  place.local_rank = variables.number(names.local_rank, 0, place.size - 1, 0);
  const bool slurm = &names == &kSlurm;  // its tasks per node are a list such as "4(x2),3"
  place.local_size = slurm ? 1 : variables.number(names.local_size, 1, place.size, 1);
  if (place.alone()) return place;
  place.store = stated_store(variables);
  if (place.store.empty() && slurm) {
    const auto nodes = variables.text("SLURM_STEP_NODELIST");
    if (nodes) place.store = fmt::format("{}:{}", first_host(*nodes), slurm_port(variables));
  }
  DIFFIT_CHECK(
      !place.store.empty(),
      "{} started {} processes, but not where they meet: set MASTER_ADDR and MASTER_PORT to the machine "
      "of rank 0 and a free port, or DIFFIT_STORE=file:PATH to a new file that all of them can write",
      place.launcher, place.size);
  const auto agent = variables.text("TORCHELASTIC_USE_AGENT_STORE");
  place.serves = place.rank == 0 && !place.store.starts_with("file:") && !(agent && *agent == "True");
  place.session = variables.text("TORCHELASTIC_RESTART_COUNT").value_or("0");
  return place;
}

}  // namespace

std::string first_host(const std::string& node_list) {
  const std::size_t bracket = node_list.find('['), comma = node_list.find(',');
  if (bracket == std::string::npos || comma < bracket) return node_list.substr(0, comma);
  const std::size_t end = node_list.find_first_of(",-]", bracket);
  return node_list.substr(0, bracket) + node_list.substr(bracket + 1, end - bracket - 1);
}

Place place_from_environment(const Lookup& lookup) {
  const auto set = [&](const char* name) {
    const char* value = lookup(name);
    return value != nullptr && *value != '\0';
  };
  if (set(kTorchrun.rank) || set(kTorchrun.size)) return read_place(kTorchrun, lookup);
  if (set(kOpenMpi.size)) return read_place(kOpenMpi, lookup);
  if (set(kSlurm.size)) return read_place(kSlurm, lookup);
  return {};
}

Place place_from_environment() {
  return place_from_environment([](const char* name) { return std::getenv(name); });
}

}  // namespace diffit::dist
