#include "capi/spec_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "config/json_text.h"

namespace diffit::capi {

namespace {

[[noreturn]] void refuse(const char* name, const char* wanted, const Json& got) {
  reject("`{}`: wanted {}, got {}", name, wanted, json_text(got));
}

}  // namespace

SpecReader::SpecReader(const char* text, const std::string& what) : what_(what) {
  object_ = text == nullptr || *text == '\0' ? Json::object() : parse_json(text, what);
  DIFFIT_CHECK(object_.is_object(), "{}: wanted a JSON object, got {}", what, object_.type_name());
}

const Json* SpecReader::take(const char* name) {
  known_.emplace_back(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void SpecReader::finish() const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end())
      reject("`{}`: {} has no such field{}", printable(name), what_, did_you_mean(name, known_));
  }
}

void SpecReader::read(const Json& value, bool& out, const char* name) {
  if (!value.is_boolean()) refuse(name, "true or false", value);
  out = value.get<bool>();
}

void SpecReader::read(const Json& value, std::int64_t& out, const char* name) {
  const bool whole = value.is_number_integer() ||
                     (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>() &&
                      std::abs(value.get<double>()) < 9e15);
  const bool fits = !value.is_number_unsigned() ||
                    value.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (!whole || !fits) refuse(name, "a whole number of 64 bits", value);
  out = value.get<std::int64_t>();
}

void SpecReader::read(const Json& value, int& out, const char* name) {
  std::int64_t wide = 0;
  read(value, wide, name);
  if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max())
    refuse(name, "a whole number of 32 bits", value);
  out = static_cast<int>(wide);
}

void SpecReader::read(const Json& value, double& out, const char* name) {
  if (!value.is_number()) refuse(name, "a number", value);
  out = value.get<double>();
}

void SpecReader::read(const Json& value, std::string& out, const char* name) {
  if (!value.is_string()) refuse(name, "text", value);
  out = value.get<std::string>();
  DIFFIT_CHECK(out.find('\0') == std::string::npos, "`{}`: contains a null character", name);
}

void SpecReader::read(const Json& value, std::vector<std::string>& out, const char* name) {
  if (!value.is_array()) refuse(name, "a list of texts", value);
  out.clear();
  for (const Json& element : value) read(element, out.emplace_back(), name);
}

}  // namespace diffit::capi
