// Where images come from: one interface over every format that is read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/images/image.h"
#include "io/images/image_info.h"

namespace diffit::data {

/// Files of a data set that are not read, for one reason.
struct Skipped {
  std::string reason;
  std::int64_t count = 0;
  std::string first;  // the name of the first, fit for a terminal
};

/// What opening a source found out, beside its images.
struct SourceFacts {
  std::string format;                    // "EDM zip", "folder", "IDX", ...
  std::string labels_from = "nothing";   // "folders", "dataset.json", "arr_1", ...
  std::vector<std::string> class_names;  // by label, fit for a terminal; empty where there are none
  std::vector<Skipped> skipped;
  std::vector<std::string> notes;     // how the set was understood
  std::vector<std::string> warnings;  // what may be wrong with it, and what to do
};

/// A numbered set of images with optional labels. All but the constructor may be called from any thread.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  virtual std::int64_t size() const = 0;
  /// Decodes image `index`, 0 <= index < size(). Error(invalid) names the file that is bad.
  virtual Image read(std::int64_t index) const = 0;
  /// Like read(), if sides of `side` suffice: an image that is too large to decode at full size may have 1/2,
  /// 1/4 or 1/8 of its sides, both at least `side`.
  virtual Image read_reduced(std::int64_t index, std::int64_t /*side*/) const { return read(index); }
  /// Size and channels of image `index`; what read() would refuse may pass. By default the image is read.
  virtual ImageInfo info(std::int64_t index) const { return info_of(read(index)); }
  /// What info() gives for every image, where the format has one size for all.
  virtual std::optional<ImageInfo> uniform() const { return std::nullopt; }
  /// 0 where there are no labels.
  virtual std::int64_t classes() const = 0;
  /// In 0..classes()-1; only where classes() > 0.
  virtual std::int64_t label(std::int64_t index) const = 0;
  /// What kind it is and where, for people: "EDM zip fashion.zip".
  virtual std::string describe() const = 0;
  /// The name of image `index` inside the source: "00000/img00000012.png". May hold any byte but NUL.
  virtual std::string name(std::int64_t index) const = 0;
  virtual const SourceFacts& facts() const;
};

/// Where the labels of a folder or zip come from.
enum class LabelMode {
  automatic,  // dataset.json, else folders where these are classes
  folders,    // the top-level folders, whatever they are called
  none,
};

/// "auto", "folders" or "none"; Error(invalid) names the nearest.
LabelMode parse_label_mode(const std::string& name);

struct SourceOptions {
  LabelMode labels = LabelMode::automatic;
  /// False: labels of an .npz that are none (vectors, fractions, -1) are passed over with a note. True: they
  /// are Error(invalid).
  bool labels_needed = true;
};

/// Opens what `path` is, by content and name: an EDM zip (or any zip of images), an .npz of images (arr_0
/// uint8 [N, H, W, C], arr_1 labels), an IDX(.gz) images file with its labels beside it, CIFAR binary (files,
/// folder or tarball), or a folder of images. Error(invalid) says what was wanted where it is none of these
/// or has no image.
///
/// In folders and zips, hidden files and folders and those that systems leave (.git, __MACOSX, @eaDir,
/// lost+found, ...) are no data; a single folder around everything is read through. With LabelMode::automatic
/// labels come from dataset.json, else top-level folders are the classes where there are two or more, in
/// order of name (of number, where all names are numbers); folders named as splits (train, val) or numbered
/// shards of images are no classes.
std::unique_ptr<ImageSource> open_source(const fs::path& path, const SourceOptions& options = {});

}  // namespace diffit::data
