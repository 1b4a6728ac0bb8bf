// Cached latents: what an autoencoder made of a data set, in a folder of shards (docs/training.md).
//
//   DEST/latents-00000.safetensors    images 0 .. n-1: labels [n] I64 (where there are classes),
//   DEST/latents-00001.safetensors    moments and moments_flip [n, 2L, h, w] F32; metadata "diffit.latents"
//
// moments: the posterior's mean, then its log variance, unscaled; moments_flip: of the mirrored image,
// since a latent cannot be mirrored. Shards are mapped, never loaded: sets larger than memory are fine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/tensors/safetensors.h"

namespace diffit::data {

/// What a cache says of itself.
struct LatentInfo {
  std::string vae;     // identity of the autoencoder that encoded it
  double scale = 0;    // latents are multiplied by it before the diffusion sees them
  std::string source;  // the images, as their ImageSource describes them
  std::int64_t images = 0;
  std::int64_t channels = 0, height = 0, width = 0;  // L, h, w of a latent
  std::int64_t classes = 0;                          // 0: no labels
  double mean = 0, deviation = 0;                    // over all numbers of the scaled latents
  std::vector<std::string> class_names = {};         // by label; empty if there are none
  std::string stamp =
      {};  // of the images and options, a JSON object of texts; "" of earlier versions' caches

  /// Floats of one image's moments, 2 L h w.
  std::int64_t numbers() const { return 2 * channels * height * width; }
  /// Images a shard holds, the last one excepted: 10,000, fewer where that is more than half a GiB.
  std::int64_t shard_images() const;
  std::int64_t shards() const;
};

/// Mean and mean square of scaled latents drawn from moments [n, 2L, h, w]: E z = scale mean,
/// E z^2 = scale^2 (mean^2 + variance), over all numbers.
struct LatentSums {
  double sum = 0, squares = 0, numbers = 0;

  void add(std::span<const float> moments, const LatentInfo& info);
  double mean() const { return sum / numbers; }
  double deviation() const;
};

/// A folder of shards, whole and of one autoencoder. Safe to read from any thread.
class LatentDataset {
 public:
  /// Opens all shards and reads their labels. Error(invalid) where a shard is missing, malformed, or of
  /// another autoencoder, scale or size than the first.
  explicit LatentDataset(const fs::path& folder);

  const fs::path& folder() const { return folder_; }
  const LatentInfo& info() const { return info_; }
  std::int64_t size() const { return info_.images; }
  std::int64_t label(std::int64_t index) const {
    return labels_.empty() ? 0 : labels_[static_cast<std::size_t>(index)];
  }
  /// Number of images of each class.
  std::vector<std::int64_t> class_counts() const;
  /// Copies the moments [2L, h, w] of image `index`, or of its mirror image.
  void read(std::int64_t index, bool mirrored, std::span<float> out) const;

 private:
  fs::path folder_;
  LatentInfo info_;
  std::vector<SafetensorsFile> shards_;
  std::vector<std::int64_t> labels_;
};

/// Moments for one step of training.
struct LatentBatch {
  std::int64_t first = 0;            // running number of the first image
  std::vector<float> moments;        // [B, 2L, h, w]
  std::vector<std::int64_t> labels;  // [B]; 0 where there are no classes
};

/// Images first .. first + count - 1 of a training, into memory that is used again: image and mirroring
/// (with probability `flip`) of image n are those that Loader would take (data/dataset.h).
void read_batch(const LatentDataset& dataset, double flip, std::uint64_t seed, std::int64_t first,
                std::int64_t count, LatentBatch& batch);

/// Whether the folder holds shards, whole or not.
bool holds_latents(const fs::path& folder);

/// One shard on its way to a file.
struct LatentShard {
  std::int64_t index = 0;
  std::vector<float> moments, flipped;
  std::vector<std::int64_t> labels;  // empty where there are no classes
};

/// Writes it whole or not at all. `info` describes the whole cache; its mean and deviation are not used.
void write_latent_shard(const fs::path& folder, const LatentInfo& info, const LatentShard& shard);

/// Whether shard `index` of the cache described by `info` is there. A shard without a stamp is taken for one
/// of this cache; one that does not fit its checksum counts as missing. Error(invalid) where another is: of
/// other images, by another autoencoder, or with other options.
bool has_latent_shard(const fs::path& folder, const LatentInfo& info, std::int64_t index);

/// Whether a shard of the folder has no stamp: earlier versions wrote none.
bool holds_unstamped_shards(const fs::path& folder);

/// Removes every shard that diffit data encode wrote into the folder.
void remove_latent_shards(const fs::path& folder);

}  // namespace diffit::data
