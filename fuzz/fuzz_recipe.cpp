// The input is a recipe or an experiment as TOML, then optionally a NUL byte and one --set assignment per
// line.
#include "fuzz/dry_run.h"
#include "fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::analysis;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\0'), text.size());
  std::vector<std::string> assignments;
  if (end < size) assignments = split(std::string_view(text).substr(end + 1), '\n');
  return refuse_or_read([&] { dry_run_text(text.substr(0, end), assignments, 32, 3, "input"); });
}
