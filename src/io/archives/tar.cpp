#include "io/archives/tar.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "io/archives/gzip_stream.h"

namespace diffit::io {
namespace {

constexpr std::size_t kBlock = 512;
using Block = std::array<std::byte, kBlock>;

std::string_view text_at(const Block& block, std::size_t at, std::size_t size) {
  const std::string_view field(reinterpret_cast<const char*>(block.data()) + at, size);
  return field.substr(0, field.find('\0'));
}

bool is_header(const Block& block) {
  return std::string_view(reinterpret_cast<const char*>(block.data()) + 257, 5) == "ustar";
}

std::uint64_t size_in(const Block& block, const std::string& where) {
  std::uint64_t size = 0;
  for (const char c : text_at(block, 124, 12)) {
    if (c == ' ') continue;
    DIFFIT_CHECK(c >= '0' && c <= '7' && size < (1ull << 60), "{}: wanted a tar archive, got a damaged entry",
                 where);
    size = 8 * size + static_cast<std::uint64_t>(c - '0');
  }
  return size;
}

}  // namespace

bool is_tar(const fs::path& path) {
  const MappedFile file(path);
  Block block{};
  try {
    GzipStream stream(file);
    return stream.read(block) == kBlock && is_header(block);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::failed) throw;
    return false;
  }
}

void read_tar(const fs::path& path, std::uint64_t limit,
              const std::function<bool(const std::string&)>& wanted,
              const std::function<void(const std::string&, std::vector<std::byte>)>& take) {
  const MappedFile file(path);
  const std::string where = path.string();
  GzipStream stream(file);
  Block block{};
  while (true) {
    const std::size_t got = stream.read(block);
    const bool zeros = std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; });
    if (got == kBlock && zeros) return;
    DIFFIT_CHECK(got == kBlock && is_header(block), "{}: wanted a complete tar archive, got one that is {}",
                 where, got == kBlock ? "damaged" : "truncated");
    const std::uint64_t size = size_in(block, where);
    std::string name(text_at(block, 0, 100));
    if (const std::string_view prefix = text_at(block, 345, 155); !prefix.empty())
      name = std::string(prefix) + "/" + name;
    const char type = static_cast<char>(block[156]);
    const bool take_it = (type == '0' || type == '\0') && wanted(name);
    DIFFIT_CHECK(!take_it || size <= limit, "{}: {}: {} bytes, the limit is {}", where, name, size, limit);
    std::vector<std::byte> content(take_it ? static_cast<std::size_t>(size) : 0);
    const std::size_t padding = static_cast<std::size_t>((kBlock - size % kBlock) % kBlock);
    std::uint64_t left = size;
    if (take_it) {
      DIFFIT_CHECK(stream.read(content) == size, "{}: {}: truncated", where, name);
      left = 0;
    }
    for (left += padding; left > 0;) {
      const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, kBlock));
      DIFFIT_CHECK(stream.read(std::span(block).first(piece)) == piece, "{}: {}: truncated", where, name);
      left -= piece;
    }
    if (take_it) take(name, std::move(content));
  }
}

}  // namespace diffit::io
