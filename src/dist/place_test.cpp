#include "dist/place.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"

namespace diffit::dist {
namespace {

using Environment = std::map<std::string_view, const char*>;

Place place_of(const Environment& variables) {
  return place_from_environment([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second;
  });
}

std::string error_of(const Environment& variables) {
  try {
    place_of(variables);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(Place, IsAloneWithoutALauncher) {
  EXPECT_TRUE(place_of({}).alone());
  EXPECT_TRUE(place_of({{"HOME", "/root"}, {"MASTER_ADDR", "a"}}).alone());
}

TEST(Place, ReadsTorchrun) {
  const Place place = place_of({{"RANK", "5"},
                                {"WORLD_SIZE", "8"},
                                {"LOCAL_RANK", "1"},
                                {"LOCAL_WORLD_SIZE", "4"},
                                {"MASTER_ADDR", "node1"},
                                {"MASTER_PORT", "29400"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 4);
  EXPECT_EQ(place.store, "node1:29400");
  EXPECT_EQ(place.session, "2");
  EXPECT_FALSE(place.serves);
}

TEST(Place, LeaderServesUnlessAnAgentDoes) {
  Environment variables{
      {"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "localhost"}, {"MASTER_PORT", "29500"}};
  EXPECT_TRUE(place_of(variables).serves);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_FALSE(place_of(variables).serves);
  variables.erase("TORCHELASTIC_USE_AGENT_STORE");
  variables["RANK"] = "1";
  EXPECT_FALSE(place_of(variables).serves);
  variables["RANK"] = "0";
  variables["DIFFIT_STORE"] = "file:/shared/meet";
  EXPECT_FALSE(place_of(variables).serves);
  EXPECT_EQ(place_of(variables).store, "file:/shared/meet");
}

TEST(Place, ReadsOpenMpi) {
  const Place place = place_of({{"OMPI_COMM_WORLD_RANK", "3"},
                                {"OMPI_COMM_WORLD_SIZE", "4"},
                                {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                {"MASTER_ADDR", "10.0.0.1"},
                                {"MASTER_PORT", "4000"}});
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.launcher, "mpirun");
}

TEST(Place, ReadsSlurmWithinAStepOnly) {
  Environment batch{{"SLURM_PROCID", "0"},
                    {"SLURM_NTASKS", "8"},
                    {"SLURM_JOB_ID", "77"},
                    {"SLURM_JOB_NODELIST", "gpu[3-4]"}};
  EXPECT_TRUE(place_of(batch).alone());  // the script of sbatch is one process
  batch["SLURM_STEP_NUM_TASKS"] = "8";
  batch["SLURM_PROCID"] = "6";
  batch["SLURM_LOCALID"] = "2";
  batch["SLURM_STEP_NODELIST"] = "gpu[3-4]";
  const Place place = place_of(batch);
  EXPECT_EQ(place.rank, 6);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 2);
  EXPECT_EQ(place.store, "gpu3:24928");
}

TEST(Place, FirstHostOfANodeList) {
  EXPECT_EQ(first_host("login"), "login");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("gpu[07-09,12],login"), "gpu07");
  EXPECT_EQ(first_host("gpu[12,14]"), "gpu12");
  EXPECT_EQ(first_host("n5,gpu[1-2]"), "n5");
}

TEST(Place, ErrorsNameTheVariable) {
  EXPECT_EQ(error_of({{"RANK", "0"}}),
            "the environment variable WORLD_SIZE is not set, but other variables of torchrun are; start all "
            "processes with one launcher, or unset them");
  EXPECT_EQ(
      error_of({{"WORLD_SIZE", "2"}}),
      "the environment variable RANK is not set, but other variables of torchrun are; start all processes "
      "with one launcher, or unset them");
  EXPECT_EQ(error_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}}),
            "the environment variable RANK of torchrun is '2': wanted a whole number from 0 to 1");
  EXPECT_EQ(error_of({{"RANK", "1x"}, {"WORLD_SIZE", "2"}}),
            "the environment variable RANK of torchrun is '1x': wanted a whole number from 0 to 1");
  EXPECT_NE(error_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}}).find("set MASTER_ADDR and MASTER_PORT"),
            std::string::npos);
  EXPECT_EQ(
      error_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}}),
      "the environment variable MASTER_PORT of torchrun is '70000': wanted a whole number from 1 to 65535");
}

}  // namespace
}  // namespace diffit::dist
