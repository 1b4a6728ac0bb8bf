#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "base/printable.h"
#include "config/fields.h"
#include "config/json_text.h"
#include "data/data_names.h"
#include "data/sources.h"
#include "io/text_file.h"

namespace diffit::data::detail {
namespace {

/// The class, or -1 if the value is not a class. Some tools write integers as 3.0.
std::int64_t class_in(const Json& value) {
  if (value.is_number_integer() && !(value < 0) && value < kMostClasses) return value.get<std::int64_t>();
  if (!value.is_number_float()) return -1;
  const double real = value.get<double>();
  const bool whole = real >= 0 && real < static_cast<double>(kMostClasses) && real == std::floor(real);
  return whole ? static_cast<std::int64_t>(real) : -1;
}

void take_names(const Json& json, Labels& labels) {
  const auto found = json.find("class_names");
  if (found == json.end() || !found->is_array()) return;
  const auto count = static_cast<std::int64_t>(found->size());
  if (count < labels.classes || count > kMostClasses) return;
  std::vector<std::string> names;
  for (const Json& name : *found) {
    if (!name.is_string()) return;
    names.push_back(printable(name.get_ref<const std::string&>()));
  }
  labels.class_names = std::move(names);
  labels.classes = count;
}

}  // namespace

Labels labels_of(const std::vector<std::string>& names, std::string_view text, const std::string& where) {
  const Json json = parse_json_file(text, where);
  DIFFIT_CHECK(json.is_object() && json.contains("labels"),
               "{}: wanted an object with the key \"labels\"; if the file is not about labels, `labels` "
               "folders or none "
               "ignores it",
               where);
  const Json& list = json.at("labels");
  if (list.is_null()) return {};
  DIFFIT_CHECK(list.is_array(), "{}: wanted labels as a list or null, got {}", where, list.type_name());
  std::unordered_map<std::string, std::int64_t> by_name;
  by_name.reserve(list.size());
  for (const Json& pair : list) {
    DIFFIT_CHECK(pair.is_array() && pair.size() == 2 && pair[0].is_string(),
                 "{}: wanted each label as [name, class], got {}", where,
                 printable(json_text(pair)).substr(0, 80));
    const std::string name = with_plain_slashes(pair[0].get_ref<const std::string&>());
    DIFFIT_CHECK(!pair[1].is_array(),
                 "{}: wanted class labels, got a vector for {}; vector labels are not supported", where,
                 printable(name));
    const std::int64_t value = class_in(pair[1]);
    DIFFIT_CHECK(value >= 0, "{}: wanted a class of 0 to {} for {}, got {}", where, kMostClasses - 1,
                 printable(name), printable(json_text(pair[1])).substr(0, 80));
    DIFFIT_CHECK(by_name.emplace(name, value).second, "{}: {} has two labels", where, printable(name));
  }
  Labels labels;
  labels.values.reserve(names.size());
  for (const std::string& name : names) {
    const auto found = by_name.find(name);
    DIFFIT_CHECK(found != by_name.end(), "{}: wanted a label for each image, got none for {}", where,
                 printable(name));
    labels.values.push_back(found->second);
    labels.classes = std::max(labels.classes, found->second + 1);
  }
  if (by_name.size() > names.size()) {
    for (const std::string& name : names) by_name.erase(name);
    const auto first = std::min_element(by_name.begin(), by_name.end());
    reject("{}: {} labels refer to missing images, such as {}; is the data set complete?", where,
           by_name.size(), printable(first->first));
  }
  take_names(json, labels);
  return labels;
}

}  // namespace diffit::data::detail
