// Configuration as data: a struct lists its fields once, and that list reads, checks, writes and documents
// it.
//
// A struct S takes part by a function `template <class V> void visit_fields(V& v, S& s)` that calls
// v(name, member, help) or v(name, member, help, smallest, largest) for each field. Members are bool,
// std::int64_t, double, std::string, or vectors of these numbers.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace diffit {

using Json = nlohmann::ordered_json;

namespace detail {
// Each checks kind and range; `where` is "file: table.key".
void read_field(const Json& value, bool& out, const std::string& where, double low, double high);
void read_field(const Json& value, std::int64_t& out, const std::string& where, double low, double high);
void read_field(const Json& value, double& out, const std::string& where, double low, double high);
void read_field(const Json& value, std::string& out, const std::string& where, double low, double high);
void read_field(const Json& value, std::vector<std::int64_t>& out, const std::string& where, double low,
                double high);
void read_field(const Json& value, std::vector<double>& out, const std::string& where, double low,
                double high);
}  // namespace detail

/// Reads the fields of a struct out of a JSON object; what the object lacks keeps its value.
class FieldReader {
 public:
  FieldReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    DIFFIT_CHECK(object.is_object(), "{}: wanted a table of keys, got {}", where_, object.type_name());
  }

  template <class T>
  void operator()(const char* name, T& member, const char* /*help*/,
                  double low = -std::numeric_limits<double>::infinity(),
                  double high = std::numeric_limits<double>::infinity()) {
    known_.emplace_back(name);
    if (const auto found = object_.find(name); found != object_.end()) {
      detail::read_field(*found, member, where_ + "." + name, low, high);
    }
  }

  /// Error(invalid) for a key that no field has, naming the nearest that there is.
  void refuse_unknown(std::span<const std::string> also_known = {}) const;

 private:
  const Json& object_;
  std::string where_;
  std::vector<std::string> known_;
};

/// Writes the fields of a struct into a JSON object, in their order.
class FieldWriter {
 public:
  template <class T>
  void operator()(const char* name, T& member, const char* /*help*/, double = 0, double = 0) {
    object[name] = member;
  }
  Json object = Json::object();
};

template <class S>
void read_fields(S& s, const Json& object, const std::string& where,
                 std::span<const std::string> also_known = {}) {
  FieldReader reader(object, where);
  visit_fields(reader, s);
  reader.refuse_unknown(also_known);
}

template <class S>
Json write_fields(S s) {
  FieldWriter writer;
  visit_fields(writer, s);
  return writer.object;
}

/// Parses JSON with bounded depth; Error(invalid) names `where`, line and column.
Json parse_json(std::string_view text, const std::string& where);

/// Parses TOML into the same form; dates are refused. Error(invalid) names file, line and column.
Json parse_toml(std::string_view text, const std::string& where);

/// Tables and keys as TOML text, in order.
std::string format_toml(const Json& object);

/// Sets `path` ("train.lr") to `value`, read as TOML (text without quotes is taken as a string).
/// Error(invalid) where the text has no '='.
void set_by_path(Json& object, std::string_view assignment);

}  // namespace diffit
