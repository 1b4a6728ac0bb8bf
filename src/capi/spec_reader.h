// Fields of a specification out of a JSON object.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capi/names.h"
#include "config/fields.h"

namespace diffit::capi {

/// Fields that are missing or null keep their values. Errors name the field in backticks.
class SpecReader {
 public:
  /// `text` is a JSON object. Throws Error(invalid) otherwise; `what` begins the message.
  SpecReader(const char* text, const std::string& what);

  template <class T>
  void operator()(const char* name, T& member) {
    if (const Json* value = take(name)) read(*value, member, name);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& member) {
    if (const Json* value = take(name)) read(*value, member.emplace(), name);
  }
  /// The value itself, or null if the field is missing or null.
  const Json* take(const char* name);

  /// After all fields: throws Error(invalid) for a name that none has, with the nearest.
  void finish() const;

 private:
  static void read(const Json& value, bool& out, const char* name);
  static void read(const Json& value, int& out, const char* name);
  static void read(const Json& value, std::int64_t& out, const char* name);
  static void read(const Json& value, double& out, const char* name);
  static void read(const Json& value, std::string& out, const char* name);
  static void read(const Json& value, std::vector<std::string>& out, const char* name);

  Json object_;
  std::string what_;
  std::vector<std::string> known_;
};

}  // namespace diffit::capi
