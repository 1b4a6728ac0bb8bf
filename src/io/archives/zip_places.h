// Where the entries of a zip archive lie in its file, so that stored ones can be used where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random_access.h"
#include "io/archives/zip.h"

namespace diffit::io {

/// The content of each entry of `zip.entries()` as it lies in `file`, the archive's bytes; empty and null for
/// an entry that is packed. The archive is read a second time, by other code than ZipReader's, and the two
/// must agree on every name and size; contents lie inside the file, before the directory, and overlap
/// nowhere. Checksums are not looked at. Error(invalid) names archive and entry.
std::vector<std::span<const std::byte>> stored_contents(const ZipReader& zip,
                                                        std::span<const std::byte> file);

/// What the directory says about an entry's own (local) header.
struct LocalHeader {
  std::uint64_t offset = 0;  // in the archive
  std::uint64_t claim = 0;   // of its name and compression method, see claim_of()
};

/// The headers of all entries, folders included, in the order of the directory. Empty where the directory
/// cannot be found this way.
std::vector<LocalHeader> local_headers(std::span<const std::byte> file, const std::string& where);

/// A hash that two headers of one entry share, within this process.
std::uint64_t claim_of(std::string_view name, std::uint64_t method);

/// Throws Error(invalid), which begins with `place`, where the entry at `header.offset` does not begin with a
/// local header of the name and method that the directory states.
void check_local_header(const RandomAccessFile& file, std::uint64_t file_size, const LocalHeader& header,
                        const std::string& place);

}  // namespace diffit::io
