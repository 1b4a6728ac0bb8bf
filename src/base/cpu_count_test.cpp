#include "base/cpu_count.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <fstream>
#include <future>

namespace diffit::base {
namespace {

namespace fs = std::filesystem;

/// A small copy of what /proc and /sys/fs/cgroup hold.
class Cgroups : public ::testing::Test {
 protected:
  Cgroups() {
    std::string name = (fs::temp_directory_path() / "cpu_count.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    root = name;
  }
  ~Cgroups() override {
    std::error_code gone;
    fs::remove_all(root, gone);
  }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  void mount_v2(const std::string& seen = "/") const {
    write("proc/self/mountinfo",
          "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
          "31 22 0:27 " +
              seen + " /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void mount_v1(const std::string& seen = "/") const {
    write("proc/self/mountinfo",
          "40 30 0:35 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
          "41 30 0:36 " +
              seen + " /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n");
  }

  fs::path root;
};

TEST_F(Cgroups, VersionTwoUsesSmallestQuotaOfAllParents) {
  mount_v2();
  write("proc/self/cgroup", "0::/user.slice/job\n");
  write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_quota(root), std::nullopt);
  write("sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
  EXPECT_EQ(cgroup_quota(root), 2.5);
  write("sys/fs/cgroup/user.slice/job/cpu.max", "30000 20000\n");
  EXPECT_EQ(cgroup_quota(root), 1.5);
}

TEST_F(Cgroups, ContainerSeesItsGroupAsRoot) {
  mount_v2();
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(cgroup_quota(root), 4);
  mount_v2("/system.slice/docker-1f.scope");
  write("proc/self/cgroup", "0::/system.slice/docker-1f.scope\n");
  EXPECT_EQ(cgroup_quota(root), 4);
  write("proc/self/cgroup", "0::/../outside\n");
  EXPECT_EQ(cgroup_quota(root), 4);
}

TEST_F(Cgroups, VersionOne) {
  mount_v1();
  write("proc/self/cgroup", "3:cpuset:/other\n4:cpu,cpuacct:/batch/17\n0::/init.scope\n");
  const fs::path cpu = "sys/fs/cgroup/cpu,cpuacct";
  write(cpu / "batch/17/cpu.cfs_quota_us", "-1\n");
  write(cpu / "batch/17/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_quota(root), std::nullopt);
  write(cpu / "batch/cpu.cfs_quota_us", "50000\n");
  write(cpu / "batch/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_quota(root), 0.5);
  mount_v1("/batch/17");
  write(cpu / "cpu.cfs_quota_us", "300000\n");
  write(cpu / "cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_quota(root), 3);
}

TEST_F(Cgroups, MissingValuesMeanNoQuota) {
  EXPECT_EQ(cgroup_quota(root), std::nullopt);
  mount_v2();
  write("proc/self/cgroup", "nonsense\n0::/a b\n");
  EXPECT_EQ(cgroup_quota(root), std::nullopt);
  for (const char* text : {"", "max", "-5 100000", "100000 0", "12x 100000", "nan 100000"}) {
    write("sys/fs/cgroup/a b/cpu.max", text);
    EXPECT_EQ(cgroup_quota(root), std::nullopt) << text;
  }
  write("sys/fs/cgroup/a b/cpu.max", "100000 100000");
  EXPECT_EQ(cgroup_quota(root), 1);
}

TEST(CpuLimits, UsesSmallerLimitAndRoundsQuotaUp) {
  EXPECT_EQ((CpuLimits{8, std::nullopt}.count()), 8);
  EXPECT_EQ((CpuLimits{8, 2.5}.count()), 3);
  EXPECT_EQ((CpuLimits{8, 0.2}.count()), 1);
  EXPECT_EQ((CpuLimits{2, 16.0}.count()), 2);
  EXPECT_EQ((CpuLimits{0, std::nullopt}.count()), 1);
}

TEST(StartableThreads, CountsStartedThreads) {
  EXPECT_EQ(startable_threads(0), 0);
  EXPECT_EQ(startable_threads(-1), 0);
  EXPECT_EQ(startable_threads(5), 5);
}

TEST(CpuLimits, RespectsThreadAffinity) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  // In a thread of its own, whose mask ends with it.
  const int count = std::async(std::launch::async, [&before] {
                      cpu_set_t one;
                      CPU_ZERO(&one);
                      int first = 0;
                      while (!CPU_ISSET(first, &before)) ++first;
                      CPU_SET(first, &one);
                      sched_setaffinity(0, sizeof one, &one);
                      return cpu_limits().affinity;
                    }).get();
  EXPECT_EQ(count, 1);
  EXPECT_EQ(cpu_limits().affinity, CPU_COUNT(&before));
}

}  // namespace
}  // namespace diffit::base
