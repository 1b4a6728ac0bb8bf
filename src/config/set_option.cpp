#include "config/set_option.h"

#include "base/printable.h"

namespace diffit::config {

void set_in_table(Json& toml, const std::string& table, const std::string& key, Json value,
                  const std::string& where) {
  DIFFIT_CHECK(toml.is_object() || toml.is_null(), "{}: wanted tables", where);
  Json& found = toml[table];
  DIFFIT_CHECK(found.is_object() || found.is_null(), "{}: {}: wanted a table of keys, got {}", where, table,
               printable(found.dump()));
  found[key] = std::move(value);
}

std::int64_t read_whole_number(const Json& table, const std::string& key, std::int64_t otherwise,
                               const std::string& where) {
  DIFFIT_CHECK(table.is_object(), "{}: wanted a table of keys, got {}", where, printable(table.dump()));
  constexpr double kAny = std::numeric_limits<double>::infinity();
  if (const auto found = table.find(key); found != table.end()) {
    detail::read_field(*found, otherwise, where + "." + key, -kAny, kAny);
  }
  return otherwise;
}

}  // namespace diffit::config
