#include "data/prefetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <string>

namespace diffit::data {
namespace {

TEST(Prefetcher, MakesEveryPartOfEveryItemBeforeItIsHandedOut) {
  for (const int threads : {0, 1, 3}) {
    std::vector<std::atomic<int>> made(10);
    std::atomic<std::int64_t> furthest = 0;
    const auto make = [&](std::int64_t item, std::int64_t part, std::size_t worker) {
      EXPECT_LT(worker, static_cast<std::size_t>(std::max(threads, 1)));
      EXPECT_LE(part, item);
      ++made[static_cast<std::size_t>(item)];
      for (std::int64_t seen = furthest; seen < item && !furthest.compare_exchange_weak(seen, item);) {
      }
    };
    const auto open = [](std::int64_t item) { return item < 10 ? item + 1 : 0; };
    Prefetcher prefetcher({.open = open, .make = make}, 3, threads);
    for (std::int64_t item = 0; item < 10; ++item) {
      prefetcher.wait();
      EXPECT_EQ(made[static_cast<std::size_t>(item)], item + 1);
      EXPECT_LT(furthest, item + 3);
      prefetcher.release();
    }
  }
}

TEST(Prefetcher, TheFirstErrorOfAnItemIsThrownEachTime) {
  for (const int threads : {0, 2}) {
    const auto make = [](std::int64_t item, std::int64_t part, std::size_t) {
      if (item == 1 && part >= 2) throw std::runtime_error("part " + std::to_string(part));
    };
    Prefetcher prefetcher({.open = [](std::int64_t) { return std::int64_t{5}; }, .make = make}, 2, threads);
    prefetcher.wait();
    prefetcher.release();
    for (int tries = 0; tries < 2; ++tries) {
      try {
        prefetcher.wait();
        FAIL() << "wanted an error";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "part 2");
      }
    }
    prefetcher.release();
    prefetcher.wait();
  }
}

TEST(Prefetcher, MayBeLeftBeforeTheEnd) {
  for (int tries = 0; tries < 200; ++tries) {
    Prefetcher prefetcher({.open = [](std::int64_t) { return std::int64_t{2}; },
                           .make = [](std::int64_t, std::int64_t, std::size_t) {}},
                          4, 1 + tries % 3);
    if (tries % 2 == 0) prefetcher.wait();
  }
}

}  // namespace
}  // namespace diffit::data
