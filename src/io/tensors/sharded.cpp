#include "io/tensors/sharded.h"

#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "config/fields.h"
#include "io/text_file.h"

namespace diffit::io {

namespace {

constexpr std::uint64_t kLargestIndex = 16 << 20;
constexpr std::size_t kMostFiles = 1000;

/// Names the file that each tensor is said to lie in.
using WeightMap = std::map<std::string, std::string>;

void check_file_name(const std::string& name, const std::string& where) {
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  DIFFIT_CHECK(plain, "{}: weight_map: wanted a file name without a folder, got '{}'", where,
               printable(name));
  DIFFIT_CHECK(name.ends_with(".safetensors"), "{}: weight_map: wanted .safetensors files, got '{}'", where,
               printable(name));
}

WeightMap read_weight_map(const Json& index, const std::string& where) {
  DIFFIT_CHECK(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(),
               "{}: wanted an index with a \"weight_map\" from tensors to files", where);
  for (const auto& [key, value] : index.items()) {
    DIFFIT_CHECK(key == "weight_map" || key == "metadata", "{}: unknown key '{}' in the index", where,
                 printable(key));
  }
  WeightMap map;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    DIFFIT_CHECK(file.is_string(), "{}: weight_map.{}: wanted the name of a file, got {}", where,
                 printable(tensor), file.type_name());
    map[tensor] = file.get<std::string>();
    check_file_name(map[tensor], where);
  }
  DIFFIT_CHECK(!map.empty(), "{}: weight_map names no tensor", where);
  return map;
}

/// The files' texts, where none contradicts another.
void merge(Metadata& all, const Metadata& more, const std::string& where) {
  for (const auto& [key, value] : more) {
    const auto [found, fresh] = all.emplace(key, value);
    DIFFIT_CHECK(fresh || found->second == value, "{}: its metadata '{}' contradicts that of the other files",
                 where, printable(key));
  }
}

}  // namespace

ShardedSet open_sharded(const fs::path& index_path) {
  const std::string where = index_path.string();
  const Json index = parse_json_file(read_text(index_path, kLargestIndex), where);
  WeightMap map = read_weight_map(index, where);
  std::set<std::string> names;
  for (const auto& [tensor, file] : map) names.insert(file);
  DIFFIT_CHECK(names.size() <= kMostFiles, "{}: {} files, the limit is {}", where, names.size(), kMostFiles);

  ShardedSet set;
  if (index.contains("metadata")) {
    DIFFIT_CHECK(index["metadata"].is_object(), "{}: metadata: wanted an object, got {}", where,
                 index["metadata"].type_name());
    for (const auto& [key, value] : index["metadata"].items()) {
      if (value.is_string()) set.metadata[key] = value.get<std::string>();
    }
  }
  for (const std::string& name : names) {
    const fs::path path = index_path.parent_path() / name;
    std::error_code none;
    DIFFIT_CHECK(fs::exists(path, none), "{}: the file '{}' of the set is not in the same folder", where,
                 printable(name));
    const SafetensorsFile& file = set.files.emplace_back(path);
    merge(set.metadata, file.metadata(), path.string());
    for (const TensorView& view : file.tensors()) {
      const auto listed = map.find(view.name);
      DIFFIT_CHECK(listed != map.end() && listed->second == name,
                   "{}: '{}' contains '{}', which is listed {}", where, printable(name), printable(view.name),
                   listed == map.end() ? "nowhere" : fmt::format("in '{}'", printable(listed->second)));
      map.erase(listed);
      set.tensors.push_back(view);
    }
  }
  DIFFIT_CHECK(map.empty(), "{}: '{}' is listed in '{}', which does not contain it", where,
               printable(map.begin()->first), printable(map.begin()->second));
  return set;
}

}  // namespace diffit::io
