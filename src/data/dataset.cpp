#include "data/dataset.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/printable.h"
#include "data/fit.h"

namespace diffit::data {

/// The first images of the set, each written once by whoever reads it first.
struct Dataset::Cache {
  enum State : std::uint8_t { empty, being_written, ready };

  Cache(std::int64_t images, std::size_t image_bytes)
      : count(images),
        pixels(
            std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(images) * image_bytes)),
        states(std::make_unique<std::atomic<std::uint8_t>[]>(static_cast<std::size_t>(images))) {}

  std::int64_t count;
  std::unique_ptr<std::uint8_t[]> pixels;
  std::unique_ptr<std::atomic<std::uint8_t>[]> states;
};

Dataset::Dataset(std::unique_ptr<ImageSource> source, std::uint64_t cache_bytes)
    : source_(std::move(source)) {
  DIFFIT_CHECK(source_->size() > 0, "{}: wanted a data set with images, got an empty one",
               source_->describe());
  const ImageScan scan = scan_images(*source_);
  const ImageInfo usual = scan.usual();
  DIFFIT_CHECK(2 * scan.broken_count <= size(), "{}: {} of {} images cannot be read, the first: {}",
               source_->describe(), scan.broken_count, size(), scan.broken.front().reason);
  DIFFIT_CHECK(
      usual.width == usual.height,
      "{}: {}: wanted square images, got {}x{}; crop them with diffit data convert --size N --crop center",
      source_->describe(), printable(source_->name(scan.sizes[0].first)), usual.width, usual.height);
  constexpr std::int64_t kOddShare = 20;
  const std::int64_t odd = scan.first_odd();
  DIFFIT_CHECK(kOddShare * scan.odd_count() <= size(),
               "{}: wanted images of one size, but {} of {} are not {}x{}, the first is {}; resize them with "
               "diffit data convert --size N --crop center",
               source_->describe(), scan.odd_count(), size(), usual.width, usual.height,
               printable(source_->name(odd)));
  check_decodes(*source_);
  resolution_ = usual.width;
  channels_ = usual.channels;
  description_ = describe_data(*source_, scan);
  const auto bytes = static_cast<std::uint64_t>(resolution_ * resolution_ * channels_);
  // Where memory is short, less is kept.
  for (auto room = std::min(static_cast<std::int64_t>(cache_bytes / bytes), size());; room /= 2) {
    try {
      cache_ = std::make_shared<Cache>(room, static_cast<std::size_t>(bytes));
      break;
    } catch (const std::bad_alloc&) {
      if (room == 0) throw;
    }
  }
}

void Dataset::read(std::int64_t index, std::span<std::uint8_t> out) const {
  const std::size_t bytes = static_cast<std::size_t>(resolution_ * resolution_ * channels_);
  DIFFIT_CHECK(out.size() == bytes && index >= 0 && index < size(),
               "wanted image 0..{} into {} bytes, got image {} into {}", size() - 1, bytes, index,
               out.size());
  const bool cached = index < cache_->count;
  const auto at = static_cast<std::size_t>(index);
  std::uint8_t* kept = cached ? cache_->pixels.get() + at * bytes : nullptr;
  if (cached && cache_->states[at].load(std::memory_order_acquire) == Cache::ready) {
    std::memcpy(out.data(), kept, bytes);
    return;
  }

  const Image image = source_->read(index);
  DIFFIT_CHECK(image.width == resolution_ && image.height == resolution_ && image.channels <= channels_,
               "{}: {}: wanted {}x{} with {} channels like most images, got {}x{} with {}; make them equal "
               "with diffit data convert",
               source_->describe(), printable(source_->name(index)), resolution_, resolution_, channels_,
               image.width, image.height, image.channels);
  if (image.channels == channels_) {
    std::memcpy(out.data(), image.pixels.data(), bytes);
  } else {
    for (std::size_t i = 0; i < image.pixels.size(); ++i) std::memset(&out[3 * i], image.pixels[i], 3);
  }
  std::uint8_t expected = Cache::empty;
  if (cached && cache_->states[at].compare_exchange_strong(expected, Cache::being_written)) {
    std::memcpy(kept, out.data(), bytes);
    cache_->states[at].store(Cache::ready, std::memory_order_release);
  }
}

std::shared_ptr<const Dataset> open_dataset(const fs::path& path, std::int64_t resolution) {
  auto source = open_source(path);
  if (resolution > 0) source = fitted(std::move(source), resolution, Crop::none);
  return std::make_shared<const Dataset>(std::move(source));
}

}  // namespace diffit::data
