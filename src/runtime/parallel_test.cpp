#include "runtime/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace diffit::runtime {
namespace {

// LibTorch's own parallel_for runs on one thread in every file that is compiled without OpenMP.
TEST(ParallelFor, RunsItsRangesAtTheSameTime) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::atomic<int> arrived = 0;
  std::atomic<bool> met = false;
  parallel_for(2, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      ++arrived;
      for (int wait = 0; wait < 20000 && arrived < 2; ++wait)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (arrived == 2) met = met || end - begin == 1;
    }
  });
  EXPECT_TRUE(met);
  at::set_num_threads(before);
}

TEST(ParallelFor, CoversEachIndexOnce) {
  std::vector<std::atomic<int>> counts(1000);
  parallel_for(1000, 7, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++counts[static_cast<std::size_t>(i)];
  });
  for (const auto& count : counts) EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace diffit::runtime
