#include "metrics/feature_source.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/printable.h"
#include "data/prefetcher.h"
#include "runtime/pch.h"

namespace diffit::metrics {
FeatureSource::FeatureSource(std::unique_ptr<const ImageSource> images) : images_(std::move(images)) {
  DIFFIT_CHECK(images_->size() > 0, "{} contains no image", images_->describe());
  scan_ = scan_images(*images_);
  DIFFIT_CHECK(!scan_.sizes.empty(), "{}: no image can be read, the first: {}", images_->describe(),
               scan_.broken.front().reason);
  const ImageInfo usual = scan_.usual();
  height_ = usual.height;
  width_ = usual.width;
  channels_ = usual.channels;
}

void FeatureSource::check_first(std::int64_t count) const {
  if (scan_.broken_count > 0 && scan_.broken.front().index < count) {
    reject("{} ({} of {} images cannot be read)", scan_.broken.front().reason, scan_.broken_count, size());
  }
  if (const std::int64_t odd = scan_.first_odd(); odd >= 0 && odd < count)
    check_size(odd, images_->info(odd));
}

void FeatureSource::check_size(std::int64_t index, const ImageInfo& image) const {
  DIFFIT_CHECK(image.height == height_ && image.width == width_,
               "{}: {} is {} x {}, but most images are {} x {} ({} are not); metrics need images of one "
               "size: resize them with diffit data convert --size",
               describe(), printable(images_->name(index)), image.width, image.height, width_, height_,
               scan_.odd_count());
}

void FeatureSource::read(std::int64_t index, std::uint8_t* out) const {
  const Image p = images_->read(index);
  check_size(index, info_of(p));
  DIFFIT_CHECK(p.channels <= channels_, "{}: {} is RGB, but its header states greyscale", describe(),
               printable(images_->name(index)));
  if (p.channels == channels_) {
    std::memcpy(out, p.pixels.data(), p.pixels.size());
  } else {
    for (const std::uint8_t grey : p.pixels) out = std::fill_n(out, channels_, grey);
  }
}

std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path) {
  return std::make_unique<FeatureSource>(open_source(path, {.labels_needed = false}));
}

void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const ImageBatchSink& sink, int threads) {
  DIFFIT_CHECK(batch > 0 && count >= 0 && count <= source.size(),
               "{}: wanted batches of at least one image, and 0..{} images; got batches of {}, and {} images",
               source.describe(), source.size(), batch, count);
  source.check_first(count);
  if (threads < 0) threads = cpu_count();
  std::deque<at::Tensor> batches;  // those that are decoded ahead; the front is number `first_open`
  std::int64_t first_open = 0;
  std::mutex mutex;
  const auto images_of = [&](std::int64_t number) {
    const std::lock_guard lock(mutex);
    return batches[static_cast<std::size_t>(number - first_open)];
  };
  const auto open = [&](std::int64_t number) -> std::int64_t {
    const std::int64_t size = std::min(batch, count - number * batch);
    if (size <= 0) return 0;
    const at::Tensor images =
        at::empty({size, source.height(), source.width(), source.channels()}, at::kByte);
    const std::lock_guard lock(mutex);
    batches.push_back(images);
    return size;
  };
  const auto make = [&](std::int64_t number, std::int64_t part, std::size_t /*worker*/) {
    const at::Tensor images = images_of(number);
    source.read(number * batch + part, images.mutable_data_ptr<std::uint8_t>() + part * images.stride(0));
  };
  Prefetcher prefetcher({.open = open, .make = make}, threads + 2, threads);
  for (std::int64_t number = 0; number * batch < count; ++number) {
    prefetcher.wait();
    at::Tensor images;
    {
      const std::lock_guard lock(mutex);
      images = std::move(batches.front());
      batches.pop_front();
      ++first_open;
    }
    prefetcher.release();
    sink(images, number * batch);
  }
}

}  // namespace diffit::metrics
