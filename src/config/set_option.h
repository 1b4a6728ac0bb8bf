// Options of a command that stand for keys of a configuration.
#pragma once

#include <string>

#include "config/fields.h"

namespace diffit::config {

/// toml[table][key] = value; the table is made where there is none. Error(invalid), beginning with `where`,
/// if something else has the table's name.
void set_in_table(Json& toml, const std::string& table, const std::string& key, Json value,
                  const std::string& where);

/// The whole number under a key of a table that was not checked yet; `otherwise` where there is none.
/// Error(invalid) names `where`.key if it is something else.
std::int64_t read_whole_number(const Json& table, const std::string& key, std::int64_t otherwise,
                               const std::string& where);

}  // namespace diffit::config
