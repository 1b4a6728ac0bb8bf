// Tar archives, plain or gzipped, read once from start to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"

namespace diffit::io {

/// Whether the file begins as a tar archive, packed by gzip or not.
bool is_tar(const fs::path& path);

/// Goes through the regular files of the archive in order. Those that `wanted` says yes to are handed to
/// `take` with their content. Error(invalid) names the archive: no tar, damaged or cut short, or an entry
/// that is wanted and larger than `limit`. Nothing is written to disk.
void read_tar(const fs::path& path, std::uint64_t limit,
              const std::function<bool(const std::string&)>& wanted,
              const std::function<void(const std::string&, std::vector<std::byte>)>& take);

}  // namespace diffit::io
