// The formats behind open_source, one opener each. All throw Error(invalid) that names the path.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/source.h"

namespace diffit::data::detail {

std::unique_ptr<ImageSource> open_idx(const fs::path& images, const SourceOptions& options);
std::unique_ptr<ImageSource> open_cifar(const fs::path& path, const SourceOptions& options);
std::unique_ptr<ImageSource> open_zip(const fs::path& path, const SourceOptions& options);
/// arr_0 uint8 [N, H, W, C] or [N, H, W], arr_1 (where there is one) whole numbers [N]. Stored images are
/// read where they lie; packed ones are unpacked to a ScratchFile. Either is read to its end at once, for the
/// checksum.
std::unique_ptr<ImageSource> open_npz(const fs::path& path, const SourceOptions& options);
/// Whether a zip archive is one of arrays, by its name or, where that does not tell, by its content.
bool is_npz(const fs::path& path);
std::unique_ptr<ImageSource> open_folder(const fs::path& path, const SourceOptions& options);

/// The name of image `index` in the layout of EDM's data sets: "00012/img00012345.png".
std::string edm_name(std::int64_t index);

/// Labels of images in the order of their names.
struct Labels {
  std::vector<std::int64_t> values;  // empty: there are none
  std::int64_t classes = 0;
  std::vector<std::string> class_names;  // by label, fit for a terminal; empty if there are none
};

/// The labels that `json` (a dataset.json: {"labels": null or [[name, class], ...]}) gives to `names`.
/// Error(invalid) unless it has a label for each of them and none for others. '\' in its names is taken as
/// '/'. "class_names", a list with a name for each class as diffit data convert writes it, also gives the
/// number of classes; a value that is no such list, or too short for the labels, is ignored.
Labels labels_of(const std::vector<std::string>& names, std::string_view json, const std::string& where);

/// The most that labels of so many images may take.
constexpr std::uint64_t largest_json(std::size_t images) {
  return (1ull << 20) + 1024ull * images;
}
inline constexpr std::uint64_t kLargestImageFile = 256ull << 20;
inline constexpr std::int64_t kMostClasses = 1'000'000;

}  // namespace diffit::data::detail
