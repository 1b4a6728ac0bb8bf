#include "io/text_file.h"

#include "base/error.h"
#include "base/printable.h"
#include "io/file_kind.h"

namespace diffit::io {

namespace {

constexpr std::uint64_t kLargestToml = 1 << 20;

/// Whether the phrase of what_file_is_this() tells more than the parser's error.
bool tells_more(const std::string& what) {
  return !what.empty() && what != "a text file" && !what.starts_with("a text file (");
}

}  // namespace

Json read_toml(const fs::path& path) {
  const std::string where = path.string();
  std::error_code none;
  std::string text;
  try {
    text = read_text(path, kLargestToml);
    return parse_toml(text, where);
  } catch (const Error& error) {
    const std::string what = fs::is_regular_file(path, none) ? what_file_is_this(path) : "";
    // A table of TOML begins as an array of JSON does.
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool table = first != std::string::npos && text[first] == '[';
    if (error.kind() != ErrorKind::invalid || !tells_more(what) || (table && what == "a JSON file")) throw;
    reject("{}: wanted a TOML file, got {}", where, what);
  }
}

Json parse_json_file(std::string_view text, const std::string& where) {
  try {
    return parse_json(text, where);
  } catch (const Error&) {
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    const std::string what =
        what_file_is_this(bytes.first(std::min(bytes.size(), kBytesThatTell)), text.size());
    if (!tells_more(what) || what == "a JSON file") throw;
    reject("{}: wanted a JSON file, got {}", where, what);
  }
}

}  // namespace diffit::io
