#include "io/archives/zip_places.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/printable.h"

namespace diffit::io {

namespace {

// Sizes of the fixed parts, and the signatures that they begin with (PKWARE's APPNOTE 4.3).
constexpr std::uint64_t kLocal = 30, kCentral = 46, kEnd = 22, kEnd64 = 56, kLocator64 = 20;
constexpr std::uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50,
                        kEnd64Magic = 0x06064b50, kLocator64Magic = 0x07064b50;
constexpr std::uint64_t kElsewhere = 0xffffffff;  // the number is in the zip64 extra field

class Archive {
 public:
  Archive(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  std::uint64_t number(std::uint64_t at, std::uint64_t count) const {
    std::uint64_t value = 0;
    const auto piece = part(at, count);
    for (std::size_t i = piece.size(); i-- > 0;) value = value << 8 | static_cast<std::uint64_t>(piece[i]);
    return value;
  }
  std::span<const std::byte> part(std::uint64_t at, std::uint64_t count) const {
    DIFFIT_CHECK(at <= bytes_.size() && count <= bytes_.size() - at,
                 "{}: damaged: wanted {} bytes at offset {}, got {}", where_, count, at, bytes_.size());
    return bytes_.subspan(at, count);
  }
  std::string_view text(std::uint64_t at, std::uint64_t count) const {
    const auto piece = part(at, count);
    return {reinterpret_cast<const char*>(piece.data()), piece.size()};
  }
  bool begins_with(std::uint64_t at, std::uint32_t magic) const {
    return at <= bytes_.size() && bytes_.size() - at >= 4 && number(at, 4) == magic;
  }
  std::uint64_t size() const { return bytes_.size(); }
  const std::string& where() const { return where_; }

 private:
  std::span<const std::byte> bytes_;
  std::string where_;
};

struct Directory {
  std::uint64_t at = 0, size = 0, entries = 0;
};

/// `end` is where the end record begins.
Directory directory_before(const Archive& archive, std::uint64_t end) {
  if (end >= kLocator64 && archive.begins_with(end - kLocator64, kLocator64Magic)) {
    const std::uint64_t end64 = archive.number(end - kLocator64 + 8, 8);
    DIFFIT_CHECK(archive.begins_with(end64, kEnd64Magic), "{}: damaged: the zip64 end record is missing",
                 archive.where());
    archive.part(end64, kEnd64);
    return {archive.number(end64 + 48, 8), archive.number(end64 + 40, 8), archive.number(end64 + 32, 8)};
  }
  return {archive.number(end + 16, 4), archive.number(end + 12, 4), archive.number(end + 10, 2)};
}

/// Archives with a comment behind their end are not looked for: nothing that is mapped here has one.
Directory find_directory(const Archive& archive) {
  DIFFIT_CHECK(archive.size() >= kEnd && archive.begins_with(archive.size() - kEnd, kEndMagic),
               "{}: wanted an archive that ends with its directory and has no comment", archive.where());
  return directory_before(archive, archive.size() - kEnd);
}

/// The end record of an archive that may have a comment behind it.
std::optional<std::uint64_t> find_end(const Archive& archive) {
  constexpr std::uint64_t kLongestComment = 0xffff;
  if (archive.size() < kEnd) return std::nullopt;
  const std::uint64_t last = archive.size() - kEnd, first = last - std::min(last, kLongestComment);
  for (std::uint64_t at = last + 1; at-- > first;) {
    if (archive.begins_with(at, kEndMagic) && archive.number(at + 20, 2) == archive.size() - at - kEnd)
      return at;
  }
  return std::nullopt;
}

struct Entry {
  std::string_view name;
  std::uint64_t method = 0, size = 0, packed = 0, local = 0;
};

/// The zip64 extra field holds, in this order, those numbers that do not fit their places.
void read_zip64(const Archive& archive, std::uint64_t at, std::uint64_t count, Entry& entry) {
  const std::uint64_t end = at + count;
  while (at + 4 <= end) {
    const std::uint64_t id = archive.number(at, 2), size = archive.number(at + 2, 2);
    std::uint64_t next = at + 4;
    at = next + size;
    if (id != 1 || at > end) continue;
    for (std::uint64_t* number : {&entry.size, &entry.packed, &entry.local}) {
      if (*number != kElsewhere || next + 8 > at) continue;
      *number = archive.number(next, 8);
      next += 8;
    }
  }
}

/// The entry at `at` of the directory; `at` moves to the next.
Entry read_entry(const Archive& archive, std::uint64_t& at) {
  DIFFIT_CHECK(archive.begins_with(at, kCentralMagic), "{}: damaged: no directory entry at offset {}",
               archive.where(), at);
  archive.part(at, kCentral);
  const std::uint64_t name = archive.number(at + 28, 2), extra = archive.number(at + 30, 2),
                      comment = archive.number(at + 32, 2);
  Entry entry{archive.text(at + kCentral, name), archive.number(at + 10, 2), archive.number(at + 24, 4),
              archive.number(at + 20, 4), archive.number(at + 42, 4)};
  read_zip64(archive, at + kCentral + name, extra, entry);
  at += kCentral + name + extra + comment;
  return entry;
}

std::span<const std::byte> content_of(const Archive& archive, const Entry& entry) {
  const std::string place = fmt::format("{}: {}", archive.where(), printable(entry.name));
  DIFFIT_CHECK(archive.begins_with(entry.local, kLocalMagic), "{}: damaged: no entry at offset {}", place,
               entry.local);
  const std::uint64_t name = archive.number(entry.local + 26, 2), extra = archive.number(entry.local + 28, 2);
  DIFFIT_CHECK(archive.text(entry.local + kLocal, name) == entry.name &&
                   archive.number(entry.local + 8, 2) == entry.method,
               "{}: the entry and the directory contradict each other", place);
  return archive.part(entry.local + kLocal + name + extra, entry.size);
}

void check_apart(std::vector<std::span<const std::byte>> contents, const std::byte* directory,
                 const std::string& where) {
  std::erase_if(contents, [](const auto& c) { return c.empty(); });
  std::sort(contents.begin(), contents.end(),
            [](const auto& a, const auto& b) { return a.data() < b.data(); });
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const std::byte* next = i + 1 < contents.size() ? contents[i + 1].data() : directory;
    DIFFIT_CHECK(contents[i].data() + contents[i].size() <= next, "{}: damaged: two entries overlap", where);
  }
}

}  // namespace

std::vector<std::span<const std::byte>> stored_contents(const ZipReader& zip,
                                                        std::span<const std::byte> file) {
  const Archive archive(file, zip.path().string());
  const Directory directory = find_directory(archive);
  const std::uint64_t most = archive.part(directory.at, directory.size).size() / kCentral;
  DIFFIT_CHECK(directory.entries <= most, "{}: damaged: {} entries in a directory of {} bytes",
               archive.where(), directory.entries, directory.size);
  std::vector<std::span<const std::byte>> contents;
  std::uint64_t at = directory.at;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Entry entry = read_entry(archive, at);
    if (entry.name.ends_with('/')) continue;
    const std::size_t k = contents.size();
    const ZipReader::Entry* seen = k < zip.entries().size() ? &zip.entries()[k] : nullptr;
    DIFFIT_CHECK(seen != nullptr && seen->name == entry.name && seen->size == entry.size &&
                     seen->packed == entry.packed,
                 "{}: {}: the directory is ambiguous", archive.where(), printable(entry.name));
    const bool stored = entry.method == 0 && entry.size == entry.packed;
    contents.push_back(stored ? content_of(archive, entry) : std::span<const std::byte>());
  }
  DIFFIT_CHECK(at == directory.at + directory.size && contents.size() == zip.entries().size(),
               "{}: damaged: its directory ends at {}, wanted {}", archive.where(), at,
               directory.at + directory.size);
  check_apart(contents, file.data() + directory.at, archive.where());
  return contents;
}

std::vector<LocalHeader> local_headers(std::span<const std::byte> file, const std::string& where) {
  const Archive archive(file, where);
  std::vector<LocalHeader> headers;
  try {
    const auto end = find_end(archive);
    if (!end) return {};
    const Directory directory = directory_before(archive, *end);
    const std::uint64_t most = archive.part(directory.at, directory.size).size() / kCentral;
    if (directory.entries > most) return {};
    std::uint64_t at = directory.at;
    for (std::uint64_t i = 0; i < directory.entries; ++i) {
      const Entry entry = read_entry(archive, at);
      headers.push_back({entry.local, claim_of(entry.name, entry.method)});
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::failed) throw;
    return {};
  }
  return headers;
}

std::uint64_t claim_of(std::string_view name, std::uint64_t method) {
  return std::hash<std::string_view>()(name) * 31 + method;
}

void check_local_header(const RandomAccessFile& file, std::uint64_t file_size, const LocalHeader& header,
                        const std::string& place) {
  DIFFIT_CHECK(header.offset <= file_size && file_size - header.offset >= kLocal,
               "{}: damaged: begins after the end of the archive", place);
  std::vector<std::byte> bytes(kLocal);
  file.read(header.offset, bytes);
  const std::uint64_t method = Archive(bytes, place).number(8, 2),
                      length = Archive(bytes, place).number(26, 2);
  DIFFIT_CHECK(Archive(bytes, place).begins_with(0, kLocalMagic),
               "{}: damaged: no entry at the offset that the directory states", place);
  bytes.resize(std::min(length, file_size - header.offset - kLocal));
  file.read(header.offset + kLocal, bytes);
  DIFFIT_CHECK(claim_of(Archive(bytes, place).text(0, bytes.size()), method) == header.claim,
               "{}: damaged: the entry and the directory state different names or compression methods",
               place);
}

}  // namespace diffit::io
