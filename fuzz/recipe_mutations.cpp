// Changes every bundled recipe and experiment key by key: other types, values out of range, missing,
// duplicate, misspelled or nested keys, and the same by --set. Each result must be planned or rejected as
// invalid, with a single line that names the key.
//
//   recipe_mutations SEED MUTATIONS FOLDER...
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "fuzz/dry_run.h"

namespace diffit::analysis {
namespace {

const std::vector<std::string> kValues = {
    "true",
    "-1",
    "0",
    "1",
    "2",
    "3",
    "0.1",
    "-0.0",
    "1e30",
    "-1e30",
    "1e-320",
    "1e400",
    "nan",
    "-inf",
    "inf",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "65537",
    "1048577",
    "0x10",
    "1979-05-27",
    "''",
    "'x'",
    "\"\\u202e\\u0000\\u001b[2J\"",
    "'\xc3\xa9\xe4\xb8\xad'",
    "'\xff'",
    "[]",
    "[[]]",
    "[1]",
    "[-1, 0]",
    "[9223372036854775807]",
    "[0.5, 'a']",
    "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
    "[65536, 65536, 65536]",
    "{}",
    "{ a = 1 }",
    "{ a = { b = { c = [] } } }",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "'image'",
    "'latent'",
    "'vae'",
    "'classifier'",
    "'vit'",
    "'ddpmpp'",
    "'edm'",
    "'vp'",
    "'none'"};

struct Line {
  std::string table, key;
  std::size_t number = 0;
};

struct File {
  std::string name;
  std::vector<std::string> lines;
  std::vector<Line> keys;  // keys whose assignment is a single line
};

File read(const fs::path& path) {
  File file{path.filename().string(), split(read_text(path, 1 << 20), '\n'), {}};
  std::string table;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string_view line = trim(file.lines[i]);
    if (line.starts_with('[')) table = std::string(line.substr(0, line.find(']') + 1));
    const std::size_t equals = line.find(" = ");
    const bool open = std::count(line.begin(), line.end(), '[') != std::count(line.begin(), line.end(), ']');
    if (equals == std::string_view::npos || open || line.starts_with('#') || line.starts_with('"')) continue;
    file.keys.push_back({table, std::string(line.substr(0, equals)), i});
  }
  return file;
}

std::string joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

int failures = 0;

void fail_at(const std::string& what, const std::string& got) {
  std::printf("%s: %s\n", what.c_str(), got.c_str());
  ++failures;
}

/// Returns whether the text is rejected. The error must contain one of `names`, if there are any.
bool refused(const std::string& toml, const std::vector<std::string>& set, std::int64_t resolution,
             std::int64_t channels, const std::vector<std::string>& names, const std::string& what) {
  try {
    dry_run_text(toml, set, resolution, channels, "f.toml");
  } catch (const Error& error) {
    const std::string text = error.what();
    if (error.kind() != ErrorKind::invalid || text.empty() || text.find('\n') != std::string::npos)
      fail_at(what, "wanted a refusal of one line, got: " + text);
    const bool named = names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
                         return text.find(name) != std::string::npos;
                       });
    if (!named) fail_at(what, "the refusal does not name the key: " + text);
    return true;
  } catch (const std::exception& error) {
    fail_at(what, fmt::format("wanted a refusal, got an exception: {}", error.what()));
  }
  return false;
}

/// Resolution of the data for which the file is intended.
std::int64_t resolution_of(const File& file) {
  for (const auto& [part, resolution] : {std::pair{"256", 256}, std::pair{"512", 512}, std::pair{"64", 64}}) {
    if (file.name.find(part) != std::string::npos) return resolution;
  }
  return file.name.find("fashion-latent") != std::string::npos ? 64 : 32;
}

std::int64_t channels_of(const File& file) {
  return file.name.starts_with("fashion") ? 1 : 3;
}

/// Returns the file with one line changed. `what` receives a description, `names` what an error must contain.
std::string mutate(const File& file, const Line& line, const std::string& value, std::uint32_t kind,
                   std::string& what, std::vector<std::string>& names) {
  std::vector<std::string> lines = file.lines;
  std::string& text = lines[line.number];
  // Errors of toml++ give the line instead of the key.
  names = {line.key, fmt::format("f.toml:{}:", line.number + 1)};
  switch (kind) {
    case 0:
      what = "missing";
      text.clear();
      names.clear();
      break;
    case 1:
      what = "twice";
      text += "\n" + text;
      break;
    case 2:
      what = "misspelt";
      text = line.key + "x = " + value;
      break;
    case 3:
      what = "nested";
      text = line.key + "." + line.key + " = " + value;
      break;
    case 4:
      what = "a table";
      text = "[" + line.key + "]\n" + text;
      names.clear();
      break;
    default:
      what = "= " + value;
      text = line.key + " = " + value;
  }
  return joined(lines);
}

int run(int argc, char** argv) {
  const auto seed = static_cast<std::uint64_t>(std::atoll(argv[1]));
  const long count = std::atol(argv[2]);
  std::vector<File> files;
  for (int i = 3; i < argc; ++i) {
    for (const auto& entry : fs::directory_iterator(argv[i])) {
      if (entry.path().extension() == ".toml") files.push_back(read(entry.path()));
    }
  }
  for (const File& file : files) {
    if (refused(joined(file.lines), {}, resolution_of(file), channels_of(file), {}, file.name))
      fail_at(file.name, "is refused as it is");
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.name < b.name; });
  long all = 0, refusals = 0;
  Random random(seed, stream_of(Purpose::test));
  const auto pick = [&](const auto& list) -> const auto& {
    return list[random.below(static_cast<std::uint32_t>(list.size()))];
  };
  for (; all < count && failures < 60; ++all) {
    const File& file = pick(files);
    const Line& line = pick(file.keys);
    const std::string& value = pick(kValues);
    const std::int64_t resolution = resolution_of(file), channels = channels_of(file);
    std::string what;
    std::vector<std::string> names, set;
    std::string text;
    const bool table = line.table.starts_with('[') && !line.table.starts_with("[[");
    if (table && random.below(4) == 0) {
      text = joined(file.lines);
      set.push_back(fmt::format("{}.{}={}", line.table.substr(1, line.table.size() - 2), line.key,
                                value.starts_with('\'') ? value.substr(1, value.size() - 2) : value));
      what = "--set " + set.back();
      names = {line.key};
    } else {
      text = mutate(file, line, value, random.below(12), what, names);
    }
    // With another kind of model or another base, other keys are rejected.
    if (line.key == "model" || line.key == "base") names.clear();
    refusals += refused(text, set, resolution, channels, names,
                        fmt::format("{} {} {} {}", file.name, line.table, line.key, what));
  }
  std::printf("%zu files, %ld mutations, %ld refused, %d failures\n", files.size(), all, refusals, failures);
  return failures > 0 || files.empty() || refusals == 0 || refusals == all ? 1 : 0;
}

}  // namespace
}  // namespace diffit::analysis

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: recipe_mutations SEED MUTATIONS FOLDER...\n");
    return 2;
  }
  return diffit::analysis::run(argc, argv);
}
