// A format of data sets: an entry of the table of formats, which opens files or folders of that format.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "data/source.h"

namespace diffit::data {

/// What a format is recognized by.
struct FormatProbe {
  const fs::path& path;
  bool folder = false;
  std::string_view start;  // the first bytes of a file; empty for a folder
};

/// An entry of the table of formats.
struct DataFormat {
  const char* title;  // "a zip of images", for errors and help
  /// Whether a path is of this format. Formats are asked in the order of formats.def.
  bool (*recognizes)(const FormatProbe& probe);
  /// Opens it. Throws Error(invalid) that names the path.
  std::unique_ptr<ImageSource> (*open)(const fs::path& path, const SourceOptions& options);
};

/// All formats, in the order of formats.def.
std::span<const DataFormat* const> data_formats();
/// "a zip of images, an .npz, ... or a folder of images".
std::string data_format_titles();

}  // namespace diffit::data
