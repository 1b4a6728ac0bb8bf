// Where pictures come from: one interface over every format that is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/picture.h"

namespace diffit {

/// A numbered set of pictures with optional labels. read() and label() may be called from any thread.
class PictureSource {
 public:
  virtual ~PictureSource() = default;

  virtual std::int64_t size() const = 0;
  /// Decodes picture `index`, 0 <= index < size(). Error(invalid) names the file that is bad.
  virtual Picture read(std::int64_t index) const = 0;
  /// 0 where there are no labels.
  virtual std::int64_t classes() const = 0;
  /// In 0..classes()-1; only where classes() > 0.
  virtual std::int64_t label(std::int64_t index) const = 0;
  /// What kind it is and where, for people: "EDM zip fashion.zip".
  virtual std::string describe() const = 0;
  /// The name of picture `index` inside the source: "00000/img00000012.png".
  virtual std::string name(std::int64_t index) const = 0;
};

/// Opens what `path` is, by content and name: an EDM zip (or any zip of pictures), an .npz of
/// pictures (arr_0 uint8 [N, H, W, C], arr_1 labels), an IDX(.gz) images file
/// with its labels beside it, CIFAR binary, or a folder of pictures (dataset.json, else class = top-level
/// folder where there is more than one). Error(invalid) says what was wanted where it is none of these or has
/// no picture.
std::unique_ptr<PictureSource> open_source(const fs::path& path);

}  // namespace diffit
