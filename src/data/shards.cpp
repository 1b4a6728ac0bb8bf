#include "data/shards.h"

#include <algorithm>

#include "data/data_names.h"

namespace diffit::data::detail {
namespace {

constexpr std::int64_t kShard = 1000, kLargeShard = 10000;

bool is_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool by_number(std::span<const std::string> folders, std::span<const PlacedImage> images) {
  constexpr std::size_t kLeastDigits = 3, kDigitsOfLarge = 5;
  bool by_large = true;
  for (const std::string& name : folders) {
    if (!number_of(name) || name.size() < kLeastDigits) return false;
    by_large = by_large && name.size() >= kDigitsOfLarge;
  }
  bool by_number = true, by_first = true, by_remainder = true;
  std::int64_t largest = 0;
  for (const PlacedImage& image : images) {
    const auto number = last_number(image.file), folder = number_of(image.folder);
    if (!number || !folder) return false;
    by_number = by_number && *number / kShard == *folder;
    by_first = by_first && *number / kShard * kShard == *folder;
    by_remainder = by_remainder && *number % kShard == *folder;
    by_large = by_large && *number / kLargeShard == *folder;
    largest = std::max(largest, *number);
  }
  return by_number || by_first || by_large || (by_remainder && largest >= kShard);
}

bool by_hash(std::span<const std::string> folders, std::span<const PlacedImage> images) {
  constexpr std::size_t kMostDigits = 4, kLeastHash = 12;
  for (const std::string& name : folders) {
    if (name.size() > kMostDigits || name.size() != folders[0].size() || !is_hexadecimal(lower_case(name)))
      return false;
  }
  return std::all_of(images.begin(), images.end(), [](const PlacedImage& image) {
    std::string stem = lower_case(image.file.substr(0, image.file.rfind('.')));
    std::erase(stem, '-');  // UUIDs
    return stem.size() >= kLeastHash && is_hexadecimal(stem) && stem.starts_with(lower_case(image.folder));
  });
}

}  // namespace

bool are_shards(std::span<const std::string> folders, std::span<const PlacedImage> images) {
  if (folders.empty() || images.empty()) return false;
  return by_number(folders, images) || by_hash(folders, images);
}

}  // namespace diffit::data::detail
