// The writing half of zip.h. libzip keeps every entry until it closes; this needs memory for names only.
// Layout after PKWARE's APPNOTE 6.3.10: 4.3.7 local header, 4.3.12 central header, 4.3.14 to 4.3.16 the end.
#include <zlib.h>

#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/printable.h"
#include "io/archives/zip.h"
#include "io/archives/zip_names.h"

namespace diffit::io {

namespace {

constexpr std::uint64_t kNeedsZip64 = 0xffffffff;
constexpr std::uint64_t kManyEntries = 0xffff;
constexpr std::size_t kBuffer = 1 << 20;
constexpr std::uint16_t kFirstOfJanuary1980 = 0x21;
constexpr std::uint16_t kUtf8Name = 1 << 11;
constexpr std::uint32_t kRegularFile = 0100644u << 16;

/// Little-endian numbers, one after the other.
class Bytes {
 public:
  Bytes& u16(std::uint64_t value) { return put(value, 2); }
  Bytes& u32(std::uint64_t value) { return put(value, 4); }
  Bytes& u64(std::uint64_t value) { return put(value, 8); }
  Bytes& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  /// A 32-bit field that says "see the zip64 field" where the value does not fit.
  Bytes& capped(std::uint64_t value, bool zip64) { return u32(zip64 ? kNeedsZip64 : value); }
  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

 private:
  Bytes& put(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_ += static_cast<char>(value >> (8 * i));
    return *this;
  }
  std::string bytes_;
};

struct Written {
  std::string name;
  std::uint64_t offset = 0, size = 0;
  std::uint32_t crc = 0;
  bool zip64 = false;  // in the local header

  std::uint16_t flags() const {
    const bool ascii =
        std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    return ascii ? 0 : kUtf8Name;
  }
  /// From "version needed" to the sizes: the same in both headers.
  void put_common(Bytes& out, bool large) const {
    out.u16(large ? 45 : 20).u16(flags()).u16(0).u16(0).u16(kFirstOfJanuary1980).u32(crc);
    out.capped(size, large).capped(size, large).u16(name.size());
  }
  std::string local() const {
    Bytes out;
    out.u32(0x04034b50);
    put_common(out, zip64);
    out.u16(zip64 ? 20 : 0).text(name);
    if (zip64) out.u16(1).u16(16).u64(size).u64(size);
    return std::string(out.view());
  }
  std::string central() const {
    const bool large = size >= kNeedsZip64, far = offset >= kNeedsZip64;
    Bytes extra;
    if (large) extra.u64(size).u64(size);
    if (far) extra.u64(offset);
    Bytes out;
    out.u32(0x02014b50).u16((3 << 8) | 45);
    put_common(out, large);
    out.u16(extra.size() == 0 ? 0 : extra.size() + 4).u16(0).u16(0).u16(0).u32(kRegularFile);
    out.capped(offset, far).text(name);
    if (extra.size() > 0) out.u16(1).u16(extra.size()).text(extra.view());
    return std::string(out.view());
  }
};

}  // namespace

struct ZipWriter::State {
  explicit State(const fs::path& path) : destination(path), file(path) {}

  fs::path destination;
  AtomicFile file;
  std::string buffer;
  std::vector<Written> entries;
  std::unordered_set<std::string> names;
  bool open = false;

  std::uint64_t position() const { return file.size() + buffer.size(); }

  void write(std::string_view bytes) {
    if (buffer.size() + bytes.size() > kBuffer) flush();
    if (bytes.size() > kBuffer) {
      file.write(bytes);
    } else {
      buffer += bytes;
    }
  }
  void flush() {
    file.write(buffer);
    buffer.clear();
  }

  Written& start(std::string_view name) {
    if (open) fail("{}: an entry was started before the previous one was finished", destination.string());
    detail::check_zip_name(name, destination.string());
    if (!names.insert(std::string(name)).second) {
      fail("{}: two entries are named {}", destination.string(), printable(name));
    }
    Written& entry = entries.emplace_back();
    entry.name = name;
    entry.offset = position();
    return entry;
  }

  void overwrite(std::uint64_t offset, std::string_view bytes) {
    flush();
    file.overwrite(offset, bytes);
  }
};

ZipWriter::ZipWriter(const fs::path& path) : state_(std::make_unique<State>(path)) {}
ZipWriter::~ZipWriter() = default;

void ZipWriter::add(std::string_view name, std::span<const std::byte> content) {
  Written& entry = state_->start(name);
  entry.size = content.size();
  entry.crc =
      static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
  entry.zip64 = entry.size >= kNeedsZip64;
  state_->write(entry.local());
  state_->write({reinterpret_cast<const char*>(content.data()), content.size()});
}

void ZipWriter::begin(std::string_view name) {
  Written& entry = state_->start(name);
  entry.zip64 = true;  // the size is not known yet: room for any
  state_->write(entry.local());
  state_->open = true;
}

void ZipWriter::write(std::span<const std::byte> bytes) {
  if (!state_->open) fail("{}: no entry was started", state_->destination.string());
  if (bytes.empty()) return;
  Written& entry = state_->entries.back();
  entry.crc = static_cast<std::uint32_t>(
      crc32_z(entry.crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  entry.size += bytes.size();
  state_->write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void ZipWriter::end() {
  if (!state_->open) fail("{}: no entry was started", state_->destination.string());
  state_->open = false;
  state_->overwrite(state_->entries.back().offset, state_->entries.back().local());
}

void ZipWriter::finish() {
  if (state_->open) fail("{}: the last entry was not ended", state_->destination.string());
  const std::uint64_t start = state_->position();
  for (const Written& entry : state_->entries) state_->write(entry.central());
  const std::uint64_t end = state_->position(), size = end - start, count = state_->entries.size();
  const bool far = start >= kNeedsZip64 || size >= kNeedsZip64, many = count >= kManyEntries;
  Bytes out;
  if (far || many) {
    out.u32(0x06064b50).u64(44).u16((3 << 8) | 45).u16(45).u32(0).u32(0);
    out.u64(count).u64(count).u64(size).u64(start);
    out.u32(0x07064b50).u32(0).u64(end).u32(1);
  }
  const std::uint64_t shown = many ? kManyEntries : count;
  out.u32(0x06054b50).u16(0).u16(0).u16(shown).u16(shown);
  out.capped(size, size >= kNeedsZip64).capped(start, start >= kNeedsZip64).u16(0);
  state_->write(out.view());
  state_->flush();
  state_->file.commit();
}

}  // namespace diffit::io
