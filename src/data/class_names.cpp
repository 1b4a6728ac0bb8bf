#include "data/class_names.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "config/fields.h"
#include "config/json_text.h"

namespace diffit::data {

namespace {

constexpr std::uint64_t kLargestTable = 16 << 20;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

ClassNames from_metadata(const std::string& text, const std::string& where) {
  const Json list = parse_json(text, where);
  DIFFIT_CHECK(list.is_array(), "{}: wanted a list of names, got {}", where, list.type_name());
  std::vector<std::vector<std::string>> names;
  for (const Json& entry : list) {
    std::vector<std::string>& of_label = names.emplace_back();
    for (const Json& name : entry.is_array() ? entry : Json::array({entry})) {
      DIFFIT_CHECK(name.is_string(), "{}: label {}: wanted a name, got {}", where, names.size() - 1,
                   name.type_name());
      of_label.push_back(name.get<std::string>());
    }
  }
  return {std::move(names), where};
}

}  // namespace

ClassNames::ClassNames(std::vector<std::vector<std::string>> names, const std::string& where)
    : names_(std::move(names)), where_(where) {
  std::map<std::string, std::size_t> label_of;
  for (std::size_t label = 0; label < names_.size(); ++label) {
    DIFFIT_CHECK(!names_[label].empty(), "{}: label {} has no name", where_, label);
    for (const std::string& name : names_[label]) {
      DIFFIT_CHECK(!trim(name).empty(), "{}: a name of label {} is empty", where_, label);
      const auto [found, fresh] = label_of.emplace(lower(name), label);
      DIFFIT_CHECK(fresh || found->second == label, "{}: labels {} and {} are both named '{}'", where_,
                   found->second, label, printable(name));
    }
  }
}

std::int64_t ClassNames::find(std::string_view wanted) const {
  const std::string word = lower(trim(wanted));
  DIFFIT_CHECK(!word.empty(), "wanted a class name, got nothing");
  std::vector<std::string> known, candidates;
  std::int64_t begun = -1;
  for (std::int64_t label = 0; label < size(); ++label) {
    bool begins = false;
    for (const std::string& name : all_names(label)) {
      const std::string folded = lower(name);
      if (folded == word) return label;
      begins = begins || folded.starts_with(word);
      known.push_back(folded);
    }
    if (!begins) continue;
    begun = label;
    candidates.push_back(printable(name(label)));
  }
  if (candidates.size() == 1) return begun;
  constexpr std::size_t kShown = 6;
  if (candidates.size() > 1) {
    const bool more = candidates.size() > kShown;
    if (more) candidates.resize(kShown);
    reject("class '{}' is ambiguous, it may be {}{}: give more of the name", printable(wanted),
           fmt::join(candidates, ", "), more ? ", ..." : "");
  }
  reject("no class has the name '{}'{} (diffit info --classes lists the names)", printable(wanted),
         did_you_mean(word, known));
}

ClassNames read_class_names(const fs::path& path) {
  std::vector<std::vector<std::string>> names;
  for (const std::string& line : split(read_text(path, kLargestTable), '\n')) {
    if (trim(line).empty() || line.starts_with('#')) continue;
    std::vector<std::string>& of_label = names.emplace_back();
    for (const std::string& name : split(line, ';')) of_label.emplace_back(trim(name));
  }
  return {std::move(names), path.string()};
}

std::optional<ClassNames> class_names_of(const fs::path& model, const Metadata& metadata,
                                         std::int64_t classes, const fs::path& folder) {
  if (const auto stated = metadata.find(kClassNamesKey); stated != metadata.end()) {
    const std::string where = model.string() + ": " + kClassNamesKey;
    ClassNames names = from_metadata(stated->second, where);
    DIFFIT_CHECK(names.size() == classes, "{}: {} names for {} classes", where, names.size(), classes);
    return names;
  }
  for (const std::string& table : {model.stem().string(), std::string("imagenet")}) {
    const fs::path path = folder / (table + ".txt");
    std::error_code none;
    if (!fs::is_regular_file(path, none)) continue;
    ClassNames names = read_class_names(path);
    if (names.size() == classes) return names;
  }
  return std::nullopt;
}

std::vector<std::int64_t> empty_classes_of(const Metadata& metadata, std::int64_t classes,
                                           const std::string& where) {
  const auto stated = metadata.find(kEmptyClassesKey);
  if (stated == metadata.end()) return {};
  const std::string place = where + ": " + kEmptyClassesKey;
  const Json list = parse_json(stated->second, place);
  DIFFIT_CHECK(list.is_array() && static_cast<std::int64_t>(list.size()) < classes,
               "{}: wanted a list of fewer than {} labels", place, classes);
  std::vector<std::int64_t> empty;
  for (const Json& label : list) {
    DIFFIT_CHECK(
        label.is_number_integer() && label >= 0 && label < classes && (empty.empty() || label > empty.back()),
        "{}: wanted ascending labels of 0 to {}, got {}", place, classes - 1,
        printable(json_text(label)).substr(0, 80));
    empty.push_back(label.get<std::int64_t>());
  }
  return empty;
}

Metadata class_metadata(const std::vector<std::string>& names, const std::vector<std::int64_t>& images,
                        std::int64_t classes) {
  Metadata metadata;
  const auto is_number = [](const std::string& name) {
    return name.find_first_not_of("0123456789") == std::string::npos;
  };
  if (static_cast<std::int64_t>(names.size()) == classes &&
      !std::all_of(names.begin(), names.end(), is_number)) {
    std::vector<std::vector<std::string>> listed;
    for (const std::string& name : names) listed.push_back({name});
    try {
      ClassNames(std::move(listed), "");
      metadata[kClassNamesKey] = json_text(Json(names));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::failed) throw;
    }
  }
  Json empty = Json::array();
  for (std::int64_t label = 0; label < classes; ++label) {
    const auto at = static_cast<std::size_t>(label);
    if (at >= images.size() || images[at] == 0) empty.push_back(label);
  }
  if (!empty.empty() && static_cast<std::int64_t>(empty.size()) < classes)
    metadata[kEmptyClassesKey] = json_text(empty);
  return metadata;
}

}  // namespace diffit::data
