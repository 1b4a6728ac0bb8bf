#include "io/archives/tar.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace diffit::io {
namespace {

constexpr std::size_t kBlock = 512;
using Block = std::array<std::byte, kBlock>;

/// The bytes of the archive in order.
class Stream {
 public:
  explicit Stream(const MappedFile& file) : path_(file.path().string()), rest_(file.bytes()) {
    gzip_ = rest_.size() >= 2 && rest_[0] == std::byte{0x1f} && rest_[1] == std::byte{0x8b};
    if (gzip_ && inflateInit2(&inflate_, 15 + 16) != Z_OK)
      fail("{}: zlib could not start; is memory short?", path_);
  }
  ~Stream() {
    if (gzip_) inflateEnd(&inflate_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Copies up to out.size() bytes and returns how many there were.
  std::size_t read(std::span<std::byte> out) {
    std::size_t done = 0;
    if (!gzip_) {
      done = std::min(out.size(), rest_.size());
      if (done > 0) std::memcpy(out.data(), rest_.data(), done);
      rest_ = rest_.subspan(done);
      return done;
    }
    constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
    while (done < out.size() && !ended_) {
      const std::size_t in = std::min(rest_.size(), kPiece), room = std::min(out.size() - done, kPiece);
      inflate_.next_in = reinterpret_cast<z_const Bytef*>(const_cast<std::byte*>(rest_.data()));
      inflate_.avail_in = static_cast<uInt>(in);
      inflate_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      inflate_.avail_out = static_cast<uInt>(room);
      const int code = inflate(&inflate_, Z_NO_FLUSH);
      rest_ = rest_.subspan(in - inflate_.avail_in);
      done += room - inflate_.avail_out;
      ended_ = code == Z_STREAM_END;
      if (code == Z_BUF_ERROR) break;  // nothing left to read
      DIFFIT_CHECK(code == Z_OK || ended_, "{}: wanted gzip data, got damaged data ({})", path_,
                   inflate_.msg ? inflate_.msg : zError(code));
    }
    return done;
  }

 private:
  std::string path_;
  std::span<const std::byte> rest_;
  bool gzip_ = false, ended_ = false;
  z_stream inflate_{};
};

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
    Stream stream(file);
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
  Stream stream(file);
  Block block{};
  while (true) {
    const std::size_t got = stream.read(block);
    const bool zeros = std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; });
    if (got == kBlock && zeros) return;
    DIFFIT_CHECK(got == kBlock && is_header(block), "{}: wanted a whole tar archive, got one that is {}",
                 where, got == kBlock ? "damaged" : "cut short");
    const std::uint64_t size = size_in(block, where);
    std::string name(text_at(block, 0, 100));
    if (const std::string_view prefix = text_at(block, 345, 155); !prefix.empty())
      name = std::string(prefix) + "/" + name;
    const char type = static_cast<char>(block[156]);
    const bool take_it = (type == '0' || type == '\0') && wanted(name);
    DIFFIT_CHECK(!take_it || size <= limit, "{}: {}: {} bytes, at most {} wanted here", where, name, size,
                 limit);
    std::vector<std::byte> content(take_it ? static_cast<std::size_t>(size) : 0);
    const std::size_t padding = static_cast<std::size_t>((kBlock - size % kBlock) % kBlock);
    std::uint64_t left = size;
    if (take_it) {
      DIFFIT_CHECK(stream.read(content) == size, "{}: {}: cut short", where, name);
      left = 0;
    }
    for (left += padding; left > 0;) {
      const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, kBlock));
      DIFFIT_CHECK(stream.read(std::span(block).first(piece)) == piece, "{}: {}: cut short", where, name);
      left -= piece;
    }
    if (take_it) take(name, std::move(content));
  }
}

}  // namespace diffit::io
