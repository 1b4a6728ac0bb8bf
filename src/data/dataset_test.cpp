#include "data/dataset.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/random.h"
#include "base/test_folder.h"
#include "data/fit.h"
#include "data/workers.h"

namespace diffit::data {
namespace {

/// Image i is a gradient that starts at i; its label is i mod 3.
class Gradients : public ImageSource {
 public:
  explicit Gradients(std::int64_t size, std::int64_t channels = 1) : size_(size), channels_(channels) {}
  std::int64_t size() const override { return size_; }
  Image read(std::int64_t index) const override {
    ++reads;
    if (index == bad) reject("picture {} is bad", index);
    const std::int64_t side = index == large ? 6 : 4;
    Image image{side, side, index == grey ? 1 : channels_, {}};
    for (std::int64_t i = 0; i < side * side * image.channels; ++i)
      image.pixels.push_back(static_cast<std::uint8_t>(index + i));
    return image;
  }
  std::int64_t classes() const override { return 3; }
  std::int64_t label(std::int64_t index) const override { return index % 3; }
  std::string describe() const override { return "gradients"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }

  mutable std::atomic<int> reads = 0;
  std::int64_t bad = -1, grey = -1, large = -1;

 private:
  std::int64_t size_, channels_;
};

std::shared_ptr<const Dataset> gradients(std::int64_t size) {
  return std::make_shared<const Dataset>(std::make_unique<Gradients>(size));
}

TEST(Dataset, CachesWhatFitsAndReadsTheRestAgain) {
  auto owned = std::make_unique<Gradients>(10);
  const Gradients& source = *owned;
  const Dataset dataset(std::move(owned), 4 * 16);  // room for four images
  std::vector<std::uint8_t> out(16);
  source.reads = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (std::int64_t i = 0; i < 10; ++i) {
      dataset.read(i, out);
      for (std::size_t k = 0; k < 16; ++k) ASSERT_EQ(out[k], static_cast<std::size_t>(i) + k);
    }
  }
  EXPECT_EQ(source.reads, 4 + 3 * 6);
}

TEST(Dataset, GreyscaleIsRepeatedToRgb) {
  for (const std::int64_t grey : {0, 1}) {
    auto rgb = std::make_unique<Gradients>(3, 3);
    rgb->grey = grey;
    const Dataset dataset(std::move(rgb));
    EXPECT_EQ(dataset.channels(), 3);
    std::vector<std::uint8_t> out(48);
    dataset.read(grey, out);
    for (std::size_t i = 0; i < 48; ++i) EXPECT_EQ(out[i], static_cast<std::size_t>(grey) + i / 3);
  }
}

TEST(Dataset, WarnsAboutFewBadImagesAndRejectsMany) {
  auto few = std::make_unique<Gradients>(40);
  few->bad = 7;
  few->large = 9;
  const Dataset dataset(std::move(few));
  EXPECT_EQ(dataset.resolution(), 4);
  ASSERT_EQ(dataset.description().warnings.size(), 2u);
  EXPECT_NE(dataset.description().warnings[0].find("picture 7 is bad"), std::string::npos);
  std::vector<std::uint8_t> out(16);
  testing::expect_rejected([&] { dataset.read(9, out); }, {"gradients: 9", "6x6"});
  auto many = std::make_unique<Gradients>(10);
  many->large = 9;
  testing::expect_rejected([&] { const Dataset refused(std::move(many)); },
                           {"1 of 10", "is 9", "diffit data convert"});
}

TEST(Loader, WorksIfThreadsCannotBeStarted) {
  const auto dataset = gradients(11);
  Loader reference(dataset, {}, 7, 3, 0, 0);
  const Batch expected = reference.next();
  for (const int available : {0, 1}) {
    int started = 0;
    const ThreadFactory before = set_thread_factory([&](std::function<void()> work) {
      if (started++ == available)
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
      return std::thread(std::move(work));
    });
    {
      Loader loader(dataset, {}, 7, 3, 0, 4);
      EXPECT_EQ(loader.next().images, expected.images);
      EXPECT_EQ(loader.next().first, 3);
    }
    set_thread_factory(before);
  }
}

TEST(Loader, BatchesDoNotDependOnThreadsOrStart) {
  const auto dataset = gradients(11);
  const Augmentation augmentation{0.5, 0.5};
  Loader reference(dataset, augmentation, 7, 3, 0, 0);
  std::vector<Batch> expected;
  for (int i = 0; i < 12; ++i) expected.push_back(reference.next());
  for (const int threads : {0, 1, 3}) {
    for (const std::int64_t skipped : {0, 5}) {
      Loader loader(dataset, augmentation, 7, 3, 3 * skipped, threads);
      Batch batch;
      for (auto i = static_cast<std::size_t>(skipped); i < 12; ++i) {
        loader.next(batch);
        EXPECT_EQ(batch.first, static_cast<std::int64_t>(3 * i));
        EXPECT_EQ(batch.labels, expected[i].labels);
        EXPECT_EQ(batch.images, expected[i].images);
        EXPECT_EQ(batch.augment_labels, expected[i].augment_labels);
      }
    }
  }
}

TEST(Loader, EachEpochIsAPermutation) {
  const auto dataset = gradients(50);
  Loader loader(dataset, {}, 1, 50, 0, 1);
  std::vector<std::vector<float>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    const Batch batch = loader.next();
    EXPECT_TRUE(batch.augment_labels.empty());
    std::vector<float> starts;
    for (std::size_t i = 0; i < 50; ++i) {
      const float start = (batch.images[16 * i] + 1) * 127.5f;
      EXPECT_EQ(static_cast<std::int64_t>(std::lround(start)) % 3, batch.labels[i]);
      starts.push_back(start);
    }
    EXPECT_EQ(std::set<float>(starts.begin(), starts.end()).size(), 50u);
    orders.push_back(starts);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Loader, FlipsAsOftenAsAsked) {
  const auto dataset = gradients(8);
  Loader loader(dataset, {0.25, 0}, 3, 4000, 0, 1);
  const Batch batch = loader.next();
  int flipped = 0;
  for (std::size_t i = 0; i < 4000; ++i) flipped += batch.images[16 * i] > batch.images[16 * i + 1];
  EXPECT_NEAR(flipped, 1000, 5 * std::sqrt(4000 * 0.25 * 0.75));
}

TEST(Loader, ReusesBatchMemory) {
  Loader loader(gradients(8), {}, 3, 4, 0, 1);
  std::set<const float*> buffers;
  Batch batch;
  for (int i = 0; i < 50; ++i) {
    loader.next(batch);
    buffers.insert(batch.images.data());
  }
  EXPECT_LE(buffers.size(), 3u);  // one in each of two slots, one here
}

TEST(Loader, PropagatesReaderExceptions) {
  auto source = std::make_unique<Gradients>(8);
  source->bad = 5;
  Loader loader(std::make_shared<const Dataset>(std::move(source)), {}, 3, 8, 0, 2);
  testing::expect_rejected([&] { loader.next(); }, {"picture 5 is bad"});
  testing::expect_rejected([&] { loader.next(); }, {"picture 5 is bad"});
}

TEST(OpenDataset, PadsIdxImagesWithZeros) {
  const testing::TemporaryFolder folder;
  std::string images("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02", 16), labels("\0\0\x08\x01\0\0\0\x02", 8);
  images += "abcdefgh";
  labels += std::string("\x04\x00", 2);
  const fs::path path = folder.write("x-images-idx3-ubyte", images);
  folder.write("x-labels-idx1-ubyte", labels);
  const auto dataset = open_dataset(path, 4);
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->resolution(), 4);
  EXPECT_EQ(dataset->channels(), 1);
  EXPECT_EQ(dataset->classes(), 5);
  EXPECT_EQ(dataset->label(0), 4);
  std::vector<std::uint8_t> out(16);
  dataset->read(1, out);
  EXPECT_EQ(out, (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 'e', 'f', 0, 0, 'g', 'h', 0, 0, 0, 0, 0}));
  EXPECT_EQ(open_dataset(path)->resolution(), 2);

  folder.write("x-labels-idx1-ubyte", labels.substr(0, 9));
  testing::expect_rejected([&] { open_dataset(path); }, {"x-labels-idx1-ubyte"});
}

}  // namespace
}  // namespace diffit::data
