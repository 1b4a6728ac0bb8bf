#include "metrics/feature_source.h"

#include <atomic>

#include "base/test_folder.h"
#include "runtime/pch.h"

namespace diffit::metrics {
namespace {

using testing::expect_rejected;

/// Images whose pixels are their index, some of which can be made to differ.
class Numbered : public ImageSource {
 public:
  std::int64_t count = 100, channels = 3, other = -1, other_width = 4, other_channels = 3, bad = -1;
  mutable std::atomic<std::int64_t> furthest = 0;

  std::int64_t size() const override { return count; }
  Image read(std::int64_t index) const override {
    if (index == bad) reject("picture {} is bad", index);
    std::int64_t before = furthest;
    while (before < index && !furthest.compare_exchange_weak(before, index)) {
    }
    Image p{4, 2, channels, {}};
    if (index == other) p = {other_width, 2, other_channels, {}};
    p.pixels.assign(static_cast<std::size_t>(p.width * p.height * p.channels),
                    static_cast<std::uint8_t>(index));
    return p;
  }
  ImageInfo info(std::int64_t index) const override {
    return index == other ? ImageInfo{other_width, 2, other_channels} : ImageInfo{4, 2, channels};
  }
  std::int64_t classes() const override { return 7; }
  std::int64_t label(std::int64_t index) const override { return index % 7; }
  std::string describe() const override { return "numbered"; }
  std::string name(std::int64_t index) const override { return fmt::format("picture {}", index); }
};

/// A set of Numbered images, modified by `change`, that stays accessible to the test.
struct Set {
  const Numbered* numbered;
  FeatureSource source;

  explicit Set(const std::function<void(Numbered&)>& change = [](Numbered&) {})
      : Set([&] {
          auto made = std::make_unique<Numbered>();
          change(*made);
          return made;
        }()) {}

 private:
  explicit Set(std::unique_ptr<Numbered> made) : numbered(made.get()), source(std::move(made)) {}
};

at::Tensor numbers(std::int64_t first, std::int64_t size) {
  return at::arange(first, first + size).view({-1, 1, 1, 1});
}

TEST(ForEachBatch, DeliversEveryImageInOrder) {
  const Set set;
  EXPECT_EQ(set.source.height(), 2);
  EXPECT_EQ(set.source.width(), 4);
  EXPECT_EQ(set.source.channels(), 3);
  for (const int threads : {-1, 0, 1, 3}) {
    for (const std::int64_t batch : {1, 7, 100, 1000}) {
      std::int64_t next = 0;
      const ImageBatchSink check = [&](const at::Tensor& images, std::int64_t first) {
        ASSERT_EQ(first, next);
        const std::int64_t size = images.size(0);
        ASSERT_EQ(size, std::min(batch, 100 - first));
        ASSERT_EQ(images.sizes(), (std::vector<std::int64_t>{size, 2, 4, 3}));
        EXPECT_TRUE((images == numbers(first, size)).all().item<bool>());
        next += size;
      };
      for_each_batch(set.source, batch, 100, check, threads);
      EXPECT_EQ(next, 100);
    }
  }
}

TEST(ForEachBatch, TerminatesForAnyThreadStartOrder) {
  // Whether a thread waits before or after work becomes available is random, so the test makes a thousand
  // attempts.
  const Set set;
  for (int tries = 0; tries < 1000; ++tries) {
    std::int64_t seen = 0;
    for_each_batch(
        set.source, 3, 10, [&](const at::Tensor& p, std::int64_t) { seen += p.size(0); }, 1 + tries % 4);
    ASSERT_EQ(seen, 10);
  }
}

TEST(ForEachBatch, StopsAtCount) {
  const Set set;
  std::int64_t seen = 0;
  for_each_batch(set.source, 8, 21, [&](const at::Tensor& p, std::int64_t) { seen += p.size(0); });
  EXPECT_EQ(seen, 21);
  EXPECT_LE(set.numbered->furthest, 20);
  expect_rejected([&] { for_each_batch(set.source, 8, 101, {}); }, {"numbered", "101"});
}

TEST(ForEachBatch, DecodesAheadWithinLimit) {
  const Set set([](Numbered& n) { n.count = 10000; });
  const ImageBatchSink check = [&](const at::Tensor&, std::int64_t first) {
    EXPECT_LT(set.numbered->furthest, first + 10 * 5);
  };
  for_each_batch(set.source, 10, 10000, check, 2);
}

TEST(ForEachBatch, WakesThreadsThatStartBeforeFirstBatch) {
  // Regression test: workers that started before the batch was requested used to sleep forever.
  for (int i = 0; i < 300; ++i) {
    const Set set([](Numbered& n) { n.count = 6; });
    std::int64_t seen = 0;
    for_each_batch(
        set.source, 8, 6, [&](const at::Tensor& p, std::int64_t) { seen += p.size(0); }, 2);
    ASSERT_EQ(seen, 6);
  }
}

TEST(ForEachBatch, RepeatsGrayImageInRgbSet) {
  const Set set([](Numbered& n) {
    n.other = 40;
    n.other_channels = 1;
  });
  for_each_batch(set.source, 16, 100, [](const at::Tensor& p, std::int64_t first) {
    EXPECT_TRUE((p == numbers(first, p.size(0))).all().item<bool>());
  });
}

TEST(ForEachBatch, OneColourImageMakesAllRgb) {
  const Set set([](Numbered& n) {
    n.other = 40;
    n.channels = 1;
  });
  EXPECT_EQ(set.source.channels(), 3);
  for_each_batch(set.source, 16, 100, [](const at::Tensor& p, std::int64_t first) {
    EXPECT_TRUE((p == numbers(first, p.size(0))).all().item<bool>());
  });
}

TEST(ForEachBatch, ErrorNamesMismatchedImageAfterEarlierOnes) {
  for (const int threads : {0, 3}) {
    const auto refused = [&](const std::function<void(Numbered&)>& change, std::int64_t before,
                             std::initializer_list<std::string> parts) {
      const Set set(change);
      std::int64_t seen = 0;
      const ImageBatchSink count = [&](const at::Tensor& p, std::int64_t) { seen += p.size(0); };
      expect_rejected([&] { for_each_batch(set.source, 10, 100, count, threads); }, parts);
      EXPECT_EQ(seen, before);
    };
    const auto wide = [](Numbered& n) {
      n.other = 43;
      n.other_width = 5;
    };
    refused(wide, 0, {"picture 43", "5 x 2", "4 x 2"});  // its header tells
    refused([](Numbered& n) { n.bad = 43; }, 40, {"picture 43 is bad"});
  }
}

TEST(ForEachBatch, PropagatesExceptionOfSink) {
  const Set set;
  const ImageBatchSink enough = [](const at::Tensor&, std::int64_t first) {
    if (first == 50) throw std::runtime_error("enough");
  };
  EXPECT_THROW(for_each_batch(set.source, 10, 100, enough, 2), std::runtime_error);
}

TEST(FeatureSource, RejectsEmptySet) {
  expect_rejected([] { Set([](Numbered& n) { n.count = 0; }); }, {"numbered", "no image"});
}

}  // namespace
}  // namespace diffit::metrics
