// Folders that divide many images into shards and are not classes.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace diffit::data::detail {

/// An image in one of the folders.
struct PlacedImage {
  std::string_view folder, file;  // names without '/'
};

/// Whether the name of every image determines its folder in one of these ways:
///   - images 1000 k to 1000 k + 999 in folder k or in folder 1000 k, folder names with at least three digits
///     (FFHQ, EDM)
///   - images 10000 k to 10000 k + 9999 in folder k, folder names with at least five digits (img2dataset)
///   - image n in folder n modulo 1000 (Danbooru)
///   - names with at least 12 hexadecimal digits (hashes, UUIDs) in the folder of their first 1 to 4 digits
bool are_shards(std::span<const std::string> folders, std::span<const PlacedImage> images);

}  // namespace diffit::data::detail
