// TOML and JSON from files of others, which may be something else.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"
#include "config/fields.h"

namespace diffit::io {

/// Reads and parses a TOML file. Error(invalid) names what the file is instead (a git-lfs pointer, a web
/// page, a model, text in UTF-16), or else the place of the first error.
Json read_toml(const fs::path& path);

/// Parses `text`, the content of the JSON file `where`; errors as in read_toml().
Json parse_json_file(std::string_view text, const std::string& where);

}  // namespace diffit::io
