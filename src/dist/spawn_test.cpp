#include "dist/spawn.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace diffit::dist {
namespace {

namespace fs = std::filesystem;

class Spawn : public testing::Test {
 protected:
  Spawn() {
    std::string name = fs::temp_directory_path() / "diffit-spawn-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~Spawn() override { fs::remove_all(folder_); }

  /// Runs a shell script once per rank; it finds the folder in $1.
  int run(int ranks, const std::string& script, int threads = 0) {
    SpawnRequest request;
    request.ranks = ranks;
    request.threads = threads;
    request.command = {"/bin/sh", "-c", script, "sh", folder_.string()};
    return run_ranks(request);
  }
  std::string text(const std::string& name) const {
    std::ostringstream all;
    all << std::ifstream(folder_ / name).rdbuf();
    return all.str();
  }

  fs::path folder_;
};

TEST_F(Spawn, GivesEachRankItsPlace) {
  EXPECT_EQ(
      run(3, R"(echo "$RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE ${DIFFIT_STORE%%:*}" > "$1/$RANK")"),
      0);
  EXPECT_EQ(text("0"), "0 3 0 3 file\n");
  EXPECT_EQ(text("2"), "2 3 2 3 file\n");
}

TEST_F(Spawn, ReturnsTheCodeOfTheRankThatFailed) {
  EXPECT_EQ(run(2, R"([ "$RANK" = 0 ] || exit 7)"), 7);
  EXPECT_EQ(run(2, R"([ "$RANK" = 0 ] || kill -9 $$)"), 128 + 9);
}

TEST_F(Spawn, StopsTheOthersWhenOneFails) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(run(2, R"([ "$RANK" = 1 ] && exit 3; exec sleep 60)"), 3);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(Spawn, PassesAStopOn) {
  SpawnRequest request;
  request.command = {
      "/bin/sh", "-c",
      R"(trap 'echo > "$1/stopped-$RANK"; exit 5' TERM; echo > "$1/ready-$RANK"; while :; do sleep 0.05; done)",
      "sh", folder_.string()};
  request.stop = [&] { return fs::exists(folder_ / "ready-0") && fs::exists(folder_ / "ready-1"); };
  EXPECT_EQ(run_ranks(request), 5);
  EXPECT_TRUE(fs::exists(folder_ / "stopped-0"));
  EXPECT_TRUE(fs::exists(folder_ / "stopped-1"));
}

}  // namespace
}  // namespace diffit::dist
