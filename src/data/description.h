// One description of a data set, for `data info`, dry runs, logs and JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "config/fields.h"
#include "data/source.h"

namespace diffit::data {

/// An image that cannot be used, and why.
struct BrokenImage {
  std::int64_t index = 0;
  std::string name, reason;  // fit for a terminal
};

/// An image of another size than most.
struct OddImage {
  std::int64_t index = 0;
  std::string name;  // fit for a terminal
  ImageInfo info;
};

/// Images of one size and number of channels.
struct ImageSize {
  ImageInfo info;
  std::int64_t images = 0;
  std::int64_t first = 0;  // index of the first
};

/// What is in the images of a source.
struct ImageScan {
  std::vector<ImageSize> sizes;     // the most frequent first
  std::vector<BrokenImage> broken;  // the first kMostListed, in order
  std::int64_t broken_count = 0;
  std::vector<OddImage> odd;  // width or height differ from usual(); the first kMostListed, in order
  bool decoded = false;       // every image was decoded; else only headers were read

  static constexpr std::size_t kMostListed = 10000;

  /// The width and height of most images; 0 x 0 where all are broken.
  ImageInfo usual() const;
  /// 3 where any image is RGB, else 1.
  std::int64_t channels() const;
  /// Images of other width or height than usual() says; the index of the first, or -1.
  std::int64_t odd_count() const, first_odd() const;
};

struct ScanOptions {
  bool decode = false;  // read every image to its end
  int threads = 0;      // 0: one a core
  std::function<void(std::int64_t done, std::int64_t all)> progress = {};
};

/// Reads the header of every image, or every image. What cannot be read is listed, not thrown; Error(failed)
/// (memory, an interruption by `progress`) is thrown.
ImageScan scan_images(const ImageSource& source, const ScanOptions& options = {});

/// Headers may be right and all else wrong: Error(invalid) unless one of the first 8 images decodes.
void check_decodes(const ImageSource& source);

struct DataClass {
  std::string name;  // empty where it has none
  std::int64_t images = 0;
};

struct DataDescription {
  std::string kind, format, labels_from;
  std::int64_t images = 0;
  std::int64_t width = 0, height = 0, channels = 0;  // of most images; channels: 3 where any is RGB
  std::vector<ImageSize> sizes;
  std::vector<DataClass> classes;  // by label
  std::vector<Skipped> skipped;
  std::vector<BrokenImage> broken;
  std::int64_t broken_count = 0;
  std::vector<OddImage> odd;
  std::int64_t odd_count = 0;
  bool decoded = false;
  std::vector<std::string> notes, warnings;
};

DataDescription describe_data(const ImageSource& source, const ImageScan& scan);

/// {"format", "labels_from", "class_names", "class_counts", "sizes", "skipped", "notes", "warnings",
/// "broken", "other_sizes", ...}
Json description_json(const DataDescription& description);
/// Lines for people, each ended and begun with `indent`.
std::string description_text(const DataDescription& description, const std::string& indent = "  ");
/// "a.png (17x16), b.png (9x9), ...": up to `most` images of other sizes.
std::string list_odd(std::span<const OddImage> odd, std::size_t most = 3);
/// --strict: Error(invalid) with the first warning, and how many more there are.
void refuse_warnings(const DataDescription& description);

}  // namespace diffit::data
