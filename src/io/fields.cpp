#include "io/fields.h"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <cmath>

namespace diffit {

namespace {

// What a person writes in a configuration; also the limit against nesting bombs.
constexpr int kDeepest = 32;

void check_range(double value, const std::string& where, double low, double high) {
  if (value >= low && value <= high) return;
  if (std::isinf(high)) reject("{}: wanted at least {}, got {}", where, low, value);
  if (std::isinf(low)) reject("{}: wanted at most {}, got {}", where, high, value);
  reject("{}: wanted {} to {}, got {}", where, low, high, value);
}

template <class T>
void read_list(const Json& value, std::vector<T>& out, const std::string& where, double low, double high) {
  DIFFIT_CHECK(value.is_array(), "{}: wanted a list of numbers, got {}", where, value.dump());
  std::vector<T> list(value.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    detail::read_field(value[i], list[i], fmt::format("{}[{}]", where, i), low, high);
  }
  out = std::move(list);
}

Json from_toml(const toml::node& node, const std::string& where, int depth) {
  DIFFIT_CHECK(depth < kDeepest, "{}: nested deeper than {} tables", where, kDeepest);
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) {
      object[std::string(key.str())] = from_toml(value, where, depth + 1);
    }
    return object;
  }
  if (const auto* list = node.as_array()) {
    Json array = Json::array();
    for (const auto& value : *list) array.push_back(from_toml(value, where, depth + 1));
    return array;
  }
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  reject("{}:{}: dates are not used here", where, node.source().begin.line);
}

std::string toml_value(const Json& value) {
  if (value.is_number_float()) {
    std::string text = fmt::format("{}", value.get<double>());
    if (text.find_first_of(".eni") == std::string::npos) text += ".0";
    return text;
  }
  if (value.is_array()) {
    std::string text = "[";
    for (const Json& item : value) text += (text.size() > 1 ? ", " : "") + toml_value(item);
    return text + "]";
  }
  return value.dump();  // strings, integers and booleans are written alike in both
}

/// Counts nesting while parsing, so that hostile JSON cannot exhaust the stack.
bool within_depth(int depth, Json::parse_event_t, Json&) {
  if (depth > kDeepest) reject("nested deeper than {} levels", kDeepest);
  return true;
}

}  // namespace

namespace detail {

void read_field(const Json& value, bool& out, const std::string& where, double, double) {
  DIFFIT_CHECK(value.is_boolean(), "{}: wanted true or false, got {}", where, value.dump());
  out = value.get<bool>();
}

void read_field(const Json& value, std::int64_t& out, const std::string& where, double low, double high) {
  DIFFIT_CHECK(value.is_number_integer(), "{}: wanted a whole number, got {}", where, value.dump());
  DIFFIT_CHECK(!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX,
               "{}: wanted a whole number below 2^63, got {}", where, value.dump());
  const auto number = value.get<std::int64_t>();
  check_range(static_cast<double>(number), where, low, high);
  out = number;
}

void read_field(const Json& value, double& out, const std::string& where, double low, double high) {
  DIFFIT_CHECK(value.is_number(), "{}: wanted a number, got {}", where, value.dump());
  const double number = value.get<double>();
  DIFFIT_CHECK(std::isfinite(number), "{}: wanted a finite number, got {}", where, value.dump());
  check_range(number, where, low, high);
  out = number;
}

void read_field(const Json& value, std::string& out, const std::string& where, double, double) {
  DIFFIT_CHECK(value.is_string(), "{}: wanted text in quotes, got {}", where, value.dump());
  out = value.get<std::string>();
}

void read_field(const Json& value, std::vector<std::int64_t>& out, const std::string& where, double low,
                double high) {
  read_list(value, out, where, low, high);
}

void read_field(const Json& value, std::vector<double>& out, const std::string& where, double low,
                double high) {
  read_list(value, out, where, low, high);
}

}  // namespace detail

void FieldReader::refuse_unknown(std::span<const std::string> also_known) const {
  std::vector<std::string> known = known_;
  known.insert(known.end(), also_known.begin(), also_known.end());
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      reject("{}: unknown key '{}'{}", where_, key, did_you_mean(key, known));
    }
  }
}

Json parse_json(std::string_view text, const std::string& where) {
  // The library takes a NUL for the end, and would let pass whatever follows it.
  DIFFIT_CHECK(text.find('\0') == std::string_view::npos, "{}: not valid JSON: holds a NUL", where);
  try {
    return Json::parse(text, within_depth);
  } catch (const Json::exception& error) {
    reject("{}: not valid JSON: {}", where, error.what());
  } catch (const Error& error) {
    reject("{}: {}", where, error.what());
  }
}

Json parse_toml(std::string_view text, const std::string& where) {
  try {
    return from_toml(toml::parse(text), where, 0);
  } catch (const toml::parse_error& error) {
    reject("{}:{}:{}: {}", where, error.source().begin.line, error.source().begin.column, error.description());
  }
}

std::string format_toml(const Json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_object()) text += fmt::format("{} = {}\n", key, toml_value(value));
  }
  for (const auto& [table, fields] : object.items()) {
    if (!fields.is_object()) continue;
    text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", table);
    for (const auto& [key, value] : fields.items()) text += fmt::format("{} = {}\n", key, toml_value(value));
  }
  return text;
}

void set_by_path(Json& object, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  DIFFIT_CHECK(equals != std::string_view::npos && equals > 0, "--set wants key=value, got '{}'", assignment);
  const std::string path(trim(assignment.substr(0, equals)));
  const std::string text(trim(assignment.substr(equals + 1)));
  Json value;
  try {
    value = parse_toml("value = " + text, "--set " + path)["value"];
  } catch (const Error&) {
    value = text;
  }
  Json* node = &object;
  for (const std::string& key : split(path, '.')) {
    DIFFIT_CHECK(node->is_object() || node->is_null(), "--set {}: '{}' is not a table", path, key);
    node = &(*node)[key];
  }
  *node = std::move(value);
}

}  // namespace diffit
