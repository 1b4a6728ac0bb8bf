// JSON as text that no name from outside can break.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "base/utf8.h"

namespace diffit::config {

/// `value` as JSON; never throws for what a text holds. U+FFFD stands for bytes that are not UTF-8; control
/// characters and marks of direction are written as \u202e. `indent` as in dump().
template <class AnyJson>
std::string json_text(const AnyJson& value, int indent = -1) {
  const std::string text = value.dump(indent, ' ', false, AnyJson::error_handler_t::replace);
  return indent < 0 ? escaped(text) : escaped_lines(text);
}

}  // namespace diffit::config
