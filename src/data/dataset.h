// What training reads: images of one size, decoded in parallel, in an order that is a function of a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/description.h"
#include "data/portion.h"

namespace diffit::data {

/// A source whose images all have one square size and one number of channels. Decoded images are kept while
/// they fit into `cache_bytes` and into memory; a larger set is read again each epoch.
class Dataset {
 public:
  /// Reads the header of every image: the size is that of most, and all are RGB where any is (grey ones are
  /// repeated). Error(invalid) where that size is not square, or where more than one image in 20 has another
  /// size or most cannot be read. Fewer such images are warned of in description() and are Error(invalid)
  /// when read() meets them.
  explicit Dataset(std::unique_ptr<ImageSource> source, std::uint64_t cache_bytes = 1ull << 30);

  std::int64_t size() const { return source_->size(); }
  std::int64_t resolution() const { return resolution_; }
  std::int64_t channels() const { return channels_; }
  std::int64_t classes() const { return source_->classes(); }
  const ImageSource& source() const { return *source_; }
  const DataDescription& description() const { return description_; }

  /// Copies image `index` as uint8 [R, R, C] into `out`. Safe from any thread.
  void read(std::int64_t index, std::span<std::uint8_t> out) const;
  std::int64_t label(std::int64_t index) const { return classes() > 0 ? source_->label(index) : 0; }

 private:
  std::unique_ptr<ImageSource> source_;
  std::int64_t resolution_ = 0, channels_ = 0;
  DataDescription description_;
  struct Cache;
  std::shared_ptr<Cache> cache_;
};

/// The data set at `path` with its images at their own size (`resolution` 0) or fitted to [resolution,
/// resolution] as fitted() with Crop::none does: smaller ones are framed with zeros, larger square ones
/// reduced.
std::shared_ptr<const Dataset> open_dataset(const fs::path& path, std::int64_t resolution = 0);

/// How training images are changed before they are noised.
struct Augmentation {
  double flip = 0;         // probability of a mirror image, in place, without a label
  double probability = 0;  // of each of EDM's non-leaky transforms (Karras 2022, appendix F.2); 0 is off

  bool labelled() const { return probability > 0; }
};

/// Width of the augmentation's condition label: EDM's 9 (flip, flip, scale, rotation 2, anisotropy 2, shift
/// 2).
inline constexpr std::int64_t kAugmentLabel = 9;

/// Images for one step of training, in [-1, 1].
struct Batch {
  std::int64_t first = 0;             // running number of the first image
  std::vector<float> images;          // [B, R, R, C], x / 127.5 - 1
  std::vector<std::int64_t> labels;   // [B]; 0 where there are no classes
  std::vector<float> augment_labels;  // [B, 9] where the augmentation is labelled, else empty
};

/// Hands out batches in order, made ahead of time by `threads` threads of its own (0: by next() itself).
/// Where the system has fewer threads or less memory for them, fewer make the batches, or next() does. Image
/// number n (counted from 0 over the whole training) is image permuted(n % size, size, seed,
/// stream_of(data_order, n / size)), augmented by random numbers of stream_of(augmentation, n): a function of
/// n alone, so that resuming needs only the number. `batch` must divide portion.count, unless the portion is
/// every image.
class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> dataset, Augmentation augmentation, std::uint64_t seed,
         std::int64_t batch, std::int64_t first_image, int threads, Portion portion = {});
  ~Loader();

  /// The next batch; rethrows what a reading thread threw, now and whenever it is called again.
  Batch next();
  /// The same into `batch`, whose memory is used again for a later one: nothing is allocated in the long run.
  void next(Batch& batch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diffit::data
