// Configuration as data: a struct lists its fields once, and that list is used for reading, checking, writing
// and documentation.
//
// A struct S provides a function `template <class V> void visit_fields(V& v, S& s)` that calls v(name,
// member, help) or v(name, member, help, smallest, largest) for each field. Members are bool, std::int64_t,
// double, std::string, vectors of these numbers, or enums with names.
#pragma once

#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace diffit::config {

using Json = nlohmann::ordered_json;

/// An enum whose values have names in a configuration: a function `enum_names(E)` in the namespace of E gives
/// them in the order of the enum, which starts at 0 and has no gaps. The value of the argument is ignored.
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E value) {
  { enum_names(value) } -> std::convertible_to<std::span<const std::string_view>>;
};

/// Returns the name of a value.
template <NamedEnum E>
std::string_view name_of(E value) {
  return std::span<const std::string_view>(enum_names(value))[static_cast<std::size_t>(value)];
}

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
/// Returns the position of the text `value` in `names`, and suggests the nearest name in the error.
std::size_t read_name(const Json& value, std::span<const std::string_view> names, const std::string& where);
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
      const std::string field = where_ + "." + name;
      if constexpr (std::is_enum_v<T>) {
        member = static_cast<T>(detail::read_name(*found, enum_names(member), field));
      } else {
        detail::read_field(*found, member, field, low, high);
      }
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
    if constexpr (std::is_enum_v<T>) {
      object[name] = std::string(name_of(member));
    } else {
      object[name] = member;
    }
  }
  Json object = Json::object();
};

/// What documentation says of a field.
struct FieldHelp {
  std::string name, help;
  std::vector<std::string> allowed;  // names that an enum takes; empty: any value of the type and range
};

/// Collects the help of every field, in order.
class FieldHelpCollector {
 public:
  template <class T>
  void operator()(const char* name, T& member, const char* help, double = 0, double = 0) {
    FieldHelp& field = fields.emplace_back(FieldHelp{name, help, {}});
    if constexpr (std::is_enum_v<T>) {
      for (const std::string_view allowed : enum_names(member)) field.allowed.emplace_back(allowed);
    }
  }
  std::vector<FieldHelp> fields;
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

/// Returns the help of every field of `s`.
template <class S>
std::vector<FieldHelp> field_help(S s) {
  FieldHelpCollector collector;
  visit_fields(collector, s);
  return collector.fields;
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
