#include "server/members.h"

#include <algorithm>

#include "base/printable.h"
#include "base/text.h"

namespace diffit::server {

void refuse(const std::string& field, const std::string& what) {
  throw HttpError(400, fmt::format("`{}`: {}", field, what), field);
}

Members::Members(const Json& object, const std::string& name) : object_(object) {
  if (!object.is_object()) refuse(name, fmt::format("wanted an object, got {}", object.type_name()));
}

const Json* Members::find(const std::string& name) {
  known_.push_back(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Members::read(const std::string& name, std::optional<std::string>& out) {
  if (const Json* value = find(name)) out = text(name, *value);
}

void Members::read(const std::string& name, std::string& out) {
  if (const Json* value = find(name)) out = text(name, *value);
}

void Members::read(const std::string& name, std::optional<double>& out) {
  if (const Json* value = find(name)) out = number(name, *value);
}

void Members::read(const std::string& name, double& out) {
  if (const Json* value = find(name)) out = number(name, *value);
}

void Members::read(const std::string& name, std::optional<std::int64_t>& out, std::int64_t low,
                   std::int64_t high) {
  if (const Json* value = find(name)) out = integer(name, *value, low, high);
}

void Members::read(const std::string& name, std::int64_t& out, std::int64_t low, std::int64_t high) {
  if (const Json* value = find(name)) out = integer(name, *value, low, high);
}

void Members::read(const std::string& name, bool& out) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) refuse(name, fmt::format("wanted true or false, got {}", value->type_name()));
  out = value->get<bool>();
}

std::string Members::text(const std::string& name, const Json& value) {
  if (!value.is_string()) refuse(name, fmt::format("wanted a text, got {}", value.type_name()));
  return value.get<std::string>();
}

double Members::number(const std::string& name, const Json& value) {
  if (!value.is_number()) refuse(name, fmt::format("wanted a number, got {}", value.type_name()));
  return value.get<double>();
}

std::int64_t Members::integer(const std::string& name, const Json& value, std::int64_t low,
                              std::int64_t high) {
  // 2^63 and above are unsigned in JSON, and no int64.
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX});
  if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    refuse(name, fmt::format("wanted a whole number from {} to {}, got {}", low, high,
                             value.is_number() ? value.dump() : std::string(value.type_name())));
  }
  return value.get<std::int64_t>();
}

void Members::refuse_unknown() const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    throw HttpError(400, fmt::format("there is no field '{}'{}", printable(name), did_you_mean(name, known_)),
                    name);
  }
}

std::vector<std::byte> decode_base64(const std::string& text, const std::string& field) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> out;
  unsigned buffer = 0;
  int bits = 0;
  bool ended = false;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ') continue;
    ended = ended || c == '=';
    if (c == '=') continue;
    const std::size_t value = digits.find(c);
    if (value == std::string::npos || ended) refuse(field, "wanted Base64 (RFC 4648)");
    buffer = (buffer << 6 | static_cast<unsigned>(value)) & 0xffffU;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::byte>(buffer >> bits & 0xff));
    }
  }
  return out;
}

}  // namespace diffit::server
