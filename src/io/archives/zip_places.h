// Where the entries of a zip archive lie in its file, so that stored ones can be used where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/archives/zip.h"

namespace diffit::io {

/// The content of each entry of `zip.entries()` as it lies in `file`, the archive's bytes; empty and null for
/// an entry that is packed. The archive is read a second time, by other code than ZipReader's, and the two
/// must agree on every name and size; contents lie inside the file, before the directory, and overlap
/// nowhere. Checksums are not looked at. Error(invalid) names archive and entry.
std::vector<std::span<const std::byte>> stored_contents(const ZipReader& zip,
                                                        std::span<const std::byte> file);

/// Where the entries of the archive begin (their local headers), folders included, in the order of the
/// directory. Empty where the directory cannot be found this way.
std::vector<std::uint64_t> local_headers(std::span<const std::byte> file, const std::string& where);
/// Whether `bytes`, the first of an entry, are those of a local header.
bool is_local_header(std::span<const std::byte> bytes);

}  // namespace diffit::io
