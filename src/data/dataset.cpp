#include "data/dataset.h"

#include <atomic>
#include <cstring>

#include "base/error.h"
#include "data/fit.h"

namespace diffit {

/// The first pictures of the set, each written once by whoever reads it first.
struct Dataset::Cache {
  enum State : std::uint8_t { empty, being_written, ready };

  Cache(std::int64_t pictures, std::size_t picture_bytes)
      : count(pictures),
        pixels(std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(pictures) *
                                                              picture_bytes)),
        states(std::make_unique<std::atomic<std::uint8_t>[]>(static_cast<std::size_t>(pictures))) {}

  std::int64_t count;
  std::unique_ptr<std::uint8_t[]> pixels;
  std::unique_ptr<std::atomic<std::uint8_t>[]> states;
};

Dataset::Dataset(std::unique_ptr<PictureSource> source, std::uint64_t cache_bytes)
    : source_(std::move(source)) {
  DIFFIT_CHECK(source_->size() > 0, "{}: wanted a data set with pictures, got an empty one",
               source_->describe());
  const Picture first = source_->read(0);
  DIFFIT_CHECK(
      first.width == first.height,
      "{}: {}: wanted square pictures, got {}x{}; cut them by diffit data convert --size N --crop center",
      source_->describe(), source_->name(0), first.width, first.height);
  resolution_ = first.width;
  channels_ = first.channels;
  const std::size_t bytes = first.pixels.size();
  const auto room = static_cast<std::int64_t>(cache_bytes / bytes);
  cache_ = std::make_shared<Cache>(std::min(room, source_->size()), bytes);
}

void Dataset::read(std::int64_t index, std::span<std::uint8_t> out) const {
  const std::size_t bytes = static_cast<std::size_t>(resolution_ * resolution_ * channels_);
  DIFFIT_CHECK(out.size() == bytes && index >= 0 && index < size(),
               "wanted picture 0..{} into {} bytes, got picture {} into {}", size() - 1, bytes, index,
               out.size());
  const bool cached = index < cache_->count;
  const auto at = static_cast<std::size_t>(index);
  std::uint8_t* kept = cached ? cache_->pixels.get() + at * bytes : nullptr;
  if (cached && cache_->states[at].load(std::memory_order_acquire) == Cache::ready) {
    std::memcpy(out.data(), kept, bytes);
    return;
  }

  const Picture picture = source_->read(index);
  DIFFIT_CHECK(
      picture.width == resolution_ && picture.height == resolution_ && picture.channels <= channels_,
      "{}: {}: wanted {}x{} with {} channels, as the first picture, got {}x{} with {}; bring them to one "
      "size by diffit data convert",
      source_->describe(), source_->name(index), resolution_, resolution_, channels_, picture.width,
      picture.height, picture.channels);
  if (picture.channels == channels_) {
    std::memcpy(out.data(), picture.pixels.data(), bytes);
  } else {
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) std::memset(&out[3 * i], picture.pixels[i], 3);
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

}  // namespace diffit
