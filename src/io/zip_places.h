// Where the entries of a zip archive lie in its file, so that stored ones can be used where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "io/zip.h"

namespace diffit {

/// The content of each entry of `zip.entries()` as it lies in `file`, the archive's bytes; empty and null for
/// an entry that is packed. The archive is read a second time, by other code than ZipReader's, and the two
/// must agree on every name and size; contents lie inside the file, before the directory, and overlap
/// nowhere. Checksums are not looked at. Error(invalid) names archive and entry.
std::vector<std::span<const std::byte>> stored_contents(const ZipReader& zip,
                                                        std::span<const std::byte> file);

}  // namespace diffit
