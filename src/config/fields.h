// Configuration as data: a struct lists its fields once, and that list is used for reading, checking, writing
// and documentation.
//
// A struct S provides a function `template <class V> void visit_fields(V& v, S& s)` that calls v(name,
// member, help) or v(name, member, help, smallest, largest) for each field. Members are bool, std::int64_t,
// double, std::string, or vectors of these numbers.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace diffit::config {

using Json = nlohmann::ordered_json;

namespace detail {
// Each function checks type and range. `where` has the form "file: table.key". Throws Error(invalid).
void read_field(const Json& value, bool& out, const std::string& where, double low, double high);
void read_field(const Json& value, std::int64_t& out, const std::string& where, double low, double high);
void read_field(const Json& value, double& out, const std::string& where, double low, double high);
void read_field(const Json& value, std::string& out, const std::string& where, double low, double high);
void read_field(const Json& value, std::vector<std::int64_t>& out, const std::string& where, double low,
                double high);
void read_field(const Json& value, std::vector<double>& out, const std::string& where, double low,
                double high);
}  // namespace detail

/// Reads the fields of a struct from a JSON object. Fields that the object does not contain keep their
/// values.
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

  /// Throws Error(invalid) for a key that is not a field, suggesting the nearest one.
  void refuse_unknown(std::span<const std::string> also_known = {}) const;

 private:
  const Json& object_;
  std::string where_;
  std::vector<std::string> known_;
};

/// Writes the fields of a struct to a JSON object, in their order.
class FieldWriter {
 public:
  template <class T>
  void operator()(const char* name, T& member, const char* /*help*/, double = 0, double = 0) {
    object[name] = member;
  }
  Json object = Json::object();
};

/// Reads the fields of `s` and rejects unknown keys except `also_known`. Throws Error(invalid); `where`
/// begins each message.
template <class S>
void read_fields(S& s, const Json& object, const std::string& where,
                 std::span<const std::string> also_known = {}) {
  FieldReader reader(object, where);
  visit_fields(reader, s);
  reader.refuse_unknown(also_known);
}

/// Returns the fields of `s` as a JSON object.
template <class S>
Json write_fields(S s) {
  FieldWriter writer;
  visit_fields(writer, s);
  return writer.object;
}

/// Parses JSON with bounded depth. Throws Error(invalid) with `where`, line and column.
Json parse_json(std::string_view text, const std::string& where);

/// Parses TOML to the same representation; dates are rejected. Throws Error(invalid) with `where`, line and
/// column.
Json parse_toml(std::string_view text, const std::string& where);

/// Formats tables and keys as TOML text, in order.
std::string format_toml(const Json& object);

/// Parses an assignment such as "train.lr=1e-4" and sets that path in `object`. The value is read as TOML;
/// text without quotes is a string. Throws Error(invalid) if there is no '=' or if the path goes through a
/// value that is not a table.
void set_by_path(Json& object, std::string_view assignment);

}  // namespace diffit::config
